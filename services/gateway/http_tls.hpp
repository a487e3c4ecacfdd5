#pragma once
// The certificate of the HTTPS edge, as two files that may change while connections go on.
#include <array>
#include <functional>
#include <memory>

#include <boost/asio/ssl.hpp>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/base/file_stamp.hpp"
#include "services/gateway/http_server.hpp"

namespace troupe::gateway {

/// TLS 1.2 and later. Connections keep the certificate they began with. Threads: one at a time.
class HttpCertificate {
 public:
  using Context = boost::asio::ssl::context;

  /// `on_reload`: a changed certificate was taken (true), or could not be and the one before stays (false).
  /// Errors: file_not_found, file_malformed (no certificate, no key, or they do not belong together),
  /// config_invalid (others can read the key).
  [[nodiscard]] static Expected<std::unique_ptr<HttpCertificate>> open(HttpTls files,
                                                                       std::function<void(bool)> on_reload);
  /// For a new connection. Looks after the files, at most once in HttpTls::look_every.
  [[nodiscard]] std::shared_ptr<Context> current(TimePoint now);

 private:
  HttpCertificate(HttpTls files, std::function<void(bool)> on_reload)
      : files_(std::move(files)), on_reload_(std::move(on_reload)) {}
  [[nodiscard]] std::array<FileStamp, 2> look() const;
  void reload();

  const HttpTls files_;
  const std::function<void(bool)> on_reload_;
  std::shared_ptr<Context> context_;
  std::array<FileStamp, 2> seen_;
  TimePoint next_look_{};
};

}  // namespace troupe::gateway
