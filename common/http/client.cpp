#include "common/http/client.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace troupe {
namespace {

/// Waits for `events` on fd. Errors: cancelled, deadline_exceeded, io_failed.
Expected<void> wait_for(int fd, short events, int interrupt_fd, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    pollfd fds[2] = {{fd, events, 0}, {interrupt_fd, POLLIN, 0}};  // poll ignores a negative descriptor
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto wait = std::clamp<std::int64_t>(left.count(), 0, 3'600'000);
    const int ready = ::poll(fds, 2, static_cast<int>(wait));
    if (ready < 0 && errno != EINTR)
      return fail(Errc::io_failed, std::string("poll: ") + std::strerror(errno));
    if (ready > 0 && fds[1].revents != 0) return fail(Errc::cancelled, "interrupted");
    if (ready > 0) return {};
    if (left.count() <= 0) return fail(Errc::deadline_exceeded, "no answer within the time allowed");
  }
}

/// One address; -1 and errno, or an error that ends the whole attempt.
Expected<int> connect_one(const addrinfo& to, int interrupt_fd, Duration limit) {
  const int fd = ::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol);
  if (fd < 0) return -1;
  int error = 0;
  if (::connect(fd, to.ai_addr, to.ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    if (auto waited = wait_for(fd, POLLOUT, interrupt_fd, limit); !waited) {
      ::close(fd);
      return tl::unexpected<Error>(std::move(waited.error()));
    }
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return fd;
  ::close(fd);
  errno = error;
  return -1;
}

Expected<int> connect_to(const Url& url, int interrupt_fd, Duration limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &list);
      error != 0)
    return fail(Errc::peer_lost, place(url) + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  int last_error = ECONNREFUSED;
  for (const addrinfo* to = list; to != nullptr; to = to->ai_next) {
    auto fd = connect_one(*to, interrupt_fd, limit);
    if (!fd || *fd >= 0) return fd;
    last_error = errno;
  }
  return fail(Errc::peer_lost, place(url) + ": " + std::strerror(last_error));
}

}  // namespace

Expected<std::shared_ptr<const TlsTrust>> trust_for(const Url& url, const std::string& authorities) {
  if (!url.secure) return std::shared_ptr<const TlsTrust>();
  return TlsTrust::load(authorities);
}

Expected<HttpAnswer> HttpAnswer::open(const Url& url, const HttpRequest& request, int interrupt_fd,
                                      const HttpTimeouts& timeouts, std::shared_ptr<const TlsTrust> trust) {
  if (url.secure && !trust) {
    auto system = TlsTrust::load();
    if (!system) return tl::unexpected<Error>(system.error());
    trust = std::move(*system);
  }
  const auto fd = connect_to(url, interrupt_fd, timeouts.connect);
  if (!fd) return tl::unexpected<Error>(fd.error());
  HttpAnswer answer(HttpSocket(*fd, url.secure ? std::move(trust) : nullptr, url.host), interrupt_fd,
                    timeouts);
  TROUPE_TRY(answer.send(request_text(url, request, false)));
  TROUPE_TRY(answer.read_header());
  return answer;
}

Expected<void> HttpAnswer::send(std::string_view bytes) {
  short ready = POLLOUT;
  while (!bytes.empty()) {
    TROUPE_TRY(wait_for(socket_.fd(), ready, interrupt_fd_, timeouts_.silence));
    const Moved moved = socket_.send(bytes);
    if (moved.state == Moved::State::failed) return fail(Errc::peer_lost, moved.why);
    if (moved.state == Moved::State::closed)
      return fail(Errc::peer_lost, "the connection closed before an answer");
    ready = moved.state == Moved::State::wants_read ? POLLIN : POLLOUT;
    bytes.remove_prefix(moved.bytes);
  }
  return {};
}

Expected<std::string> HttpAnswer::receive() {
  std::string buffer(16U << 10, '\0');
  short ready = POLLIN;
  for (bool first = true;; first = false) {
    // What TLS has decrypted already does not make the socket readable.
    if (!first || !socket_.holds_bytes())
      TROUPE_TRY(wait_for(socket_.fd(), ready, interrupt_fd_, timeouts_.silence));
    const Moved moved = socket_.receive(buffer);
    if (moved.state == Moved::State::failed) return fail(Errc::peer_lost, moved.why);
    if (moved.state == Moved::State::moved || moved.state == Moved::State::closed) {
      buffer.resize(moved.bytes);
      return buffer;
    }
    ready = moved.state == Moved::State::wants_write ? POLLOUT : POLLIN;
  }
}

Expected<void> HttpAnswer::read_header() {
  std::string text;
  std::size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) {
    if (text.size() > kLargestHead) return fail(Errc::header_too_large, "the answer's header is over 64 KiB");
    const auto more = receive();
    if (!more) return tl::unexpected<Error>(more.error());
    if (more->empty()) return fail(Errc::peer_lost, "the connection closed before an answer");
    text += *more;
  }
  pending_ = text.substr(end + 4);
  auto head = parse_head(std::string_view(text).substr(0, end + 2));
  if (!head) return tl::unexpected<Error>(std::move(head.error()));
  head_ = std::move(*head);
  if (head_.chunked) chunked_.emplace();
  left_ = head_.length;
  return {};
}

Expected<std::optional<std::string>> HttpAnswer::read_some() {
  for (;;) {
    if ((chunked_ && chunked_->finished()) || left_ == std::uint64_t{0}) return std::nullopt;
    std::string bytes = std::exchange(pending_, {});
    if (bytes.empty()) {
      auto more = receive();
      if (!more) return tl::unexpected<Error>(std::move(more.error()));
      if (more->empty() && !chunked_ && !left_) return std::nullopt;  // a body that ends with the connection
      if (more->empty()) return fail(Errc::peer_lost, "the connection closed inside the answer");
      bytes = std::move(*more);
    }
    auto body = decode(std::move(bytes));
    if (!body || *body) return body;
  }
}

Expected<std::optional<std::string>> HttpAnswer::decode(std::string bytes) {
  if (chunked_) {
    auto body = chunked_->feed(bytes);
    if (!body) return tl::unexpected<Error>(std::move(body.error()));
    if (body->empty()) return std::nullopt;
    return std::optional<std::string>(std::move(*body));
  }
  if (left_) {
    if (bytes.size() > *left_) bytes.resize(static_cast<std::size_t>(*left_));
    *left_ -= bytes.size();
  }
  return std::optional<std::string>(std::move(bytes));
}

Expected<std::string> HttpAnswer::read_all(std::size_t limit) {
  std::string body;
  for (;;) {
    auto more = read_some();
    if (!more) return tl::unexpected<Error>(std::move(more.error()));
    if (!*more) return body;
    if (body.size() + (*more)->size() > limit)
      return fail(Errc::body_too_large, "the answer is over " + std::to_string(limit) + " bytes");
    body += **more;
  }
}

}  // namespace troupe
