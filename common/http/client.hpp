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

namespace troupe {

struct HttpTimeouts {
  Duration connect = std::chrono::seconds(10);
  Duration silence = std::chrono::minutes(10);  ///< longest wait for the next bytes
};

/// An answer being read. Destroying it closes the connection, which cancels the answer at the server.
/// Threads: one.
class HttpAnswer {
 public:
  /// Connects, sends, reads the header. `interrupt_fd` (-1 none) readable ends any wait with cancelled.
  /// Errors: peer_lost, deadline_exceeded, wire_malformed, cancelled.
  [[nodiscard]] static Expected<HttpAnswer> open(const Url& url, const HttpRequest& request, int interrupt_fd,
                                                 const HttpTimeouts& timeouts = {});
  HttpAnswer(HttpAnswer&& other) noexcept;
  HttpAnswer& operator=(HttpAnswer&&) = delete;
  ~HttpAnswer();

  [[nodiscard]] int status() const { return head_.status; }
  /// Of a header by lower-case name; "" when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const { return head_.header(name); }

  /// Some decoded bytes of the body, never empty; nullopt at its end. Errors: as for open; peer_lost when it
  /// ends early.
  [[nodiscard]] Expected<std::optional<std::string>> read_some();
  /// The rest of the body. Errors: as above; body_too_large over `limit` bytes.
  [[nodiscard]] Expected<std::string> read_all(std::size_t limit);

 private:
  HttpAnswer(int fd, int interrupt_fd, const HttpTimeouts& timeouts)
      : fd_(fd), interrupt_fd_(interrupt_fd), timeouts_(timeouts) {}
  [[nodiscard]] Expected<void> send(std::string_view bytes);
  [[nodiscard]] Expected<std::string> receive();  ///< "" when the peer closed
  [[nodiscard]] Expected<void> read_header();
  [[nodiscard]] Expected<std::optional<std::string>> decode(std::string bytes);

  int fd_;
  int interrupt_fd_;
  HttpTimeouts timeouts_;
  HttpHead head_;
  std::string pending_;  ///< body bytes that came with the header
  std::optional<ChunkedDecoder> chunked_;
  std::optional<std::uint64_t> left_;  ///< of Content-Length
};

}  // namespace troupe
