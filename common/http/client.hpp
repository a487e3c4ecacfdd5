#pragma once
// A small blocking HTTP/1.1 client over POSIX sockets: one request per connection, the answer read as it
// comes, interruptible.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/http/chunked.hpp"
#include "common/http/message.hpp"
#include "common/http/socket.hpp"

namespace troupe {

struct HttpTimeouts {
  Duration connect = std::chrono::seconds(10);
  Duration silence = std::chrono::minutes(10);  ///< longest wait for the next bytes
};

/// What a client of `url` believes, for HttpAnswer::open: null for http. Errors: TlsTrust::load's.
[[nodiscard]] Expected<std::shared_ptr<const TlsTrust>> trust_for(const Url& url,
                                                                  const std::string& authorities = {});

/// An answer being read. Destroying it closes the connection, which cancels the answer at the server.
/// Threads: one.
class HttpAnswer {
 public:
  /// Connects, sends, reads the header. `interrupt_fd` (-1 none) readable ends any wait with cancelled.
  /// `trust`: of https; null: the system's authorities. Errors: peer_lost, deadline_exceeded, wire_malformed,
  /// cancelled.
  [[nodiscard]] static Expected<HttpAnswer> open(const Url& url, const HttpRequest& request, int interrupt_fd,
                                                 const HttpTimeouts& timeouts = {},
                                                 std::shared_ptr<const TlsTrust> trust = nullptr);
  HttpAnswer(HttpAnswer&& other) noexcept = default;
  HttpAnswer& operator=(HttpAnswer&&) = delete;

  [[nodiscard]] int status() const { return head_.status; }
  /// Of a header by lower-case name; "" when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const { return head_.header(name); }

  /// Some decoded bytes of the body, never empty; nullopt at its end. Errors: as for open; peer_lost when it
  /// ends early.
  [[nodiscard]] Expected<std::optional<std::string>> read_some();
  /// The rest of the body. Errors: as above; body_too_large over `limit` bytes.
  [[nodiscard]] Expected<std::string> read_all(std::size_t limit);

 private:
  HttpAnswer(HttpSocket socket, int interrupt_fd, const HttpTimeouts& timeouts)
      : socket_(std::move(socket)), interrupt_fd_(interrupt_fd), timeouts_(timeouts) {}
  [[nodiscard]] Expected<void> send(std::string_view bytes);
  [[nodiscard]] Expected<std::string> receive();  ///< "" when the peer closed
  [[nodiscard]] Expected<void> read_header();
  [[nodiscard]] Expected<std::optional<std::string>> decode(std::string bytes);

  HttpSocket socket_;
  int interrupt_fd_;
  HttpTimeouts timeouts_;
  HttpHead head_;
  std::string pending_;  ///< body bytes that came with the header
  std::optional<ChunkedDecoder> chunked_;
  std::optional<std::uint64_t> left_;  ///< of Content-Length
};

}  // namespace troupe
