#include "common/http/client.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace troupe {
namespace {

constexpr std::size_t kLargestHeader = 64U << 10;

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

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

std::string place(const Url& url) {
  return url.host + ":" + std::to_string(url.port);
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

std::string request_text(const Url& url, const HttpRequest& request) {
  const bool ipv6 = url.host.find(':') != std::string::npos;
  std::string text = request.method + " " + request.path + " HTTP/1.1\r\nHost: ";
  text.append(ipv6 ? "[" : "")
      .append(url.host)
      .append(ipv6 ? "]" : "")
      .append(":")
      .append(std::to_string(url.port));
  text += "\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers)
    text.append(name).append(": ").append(value).append("\r\n");
  if (!request.body.empty()) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

}  // namespace

Expected<Url> parse_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const auto bad = [&] {
    return fail(Errc::invalid_argument,
                "found \"" + std::string(text.substr(0, 200)) + "\", expected http://host[:port][/path]");
  };
  if (!text.starts_with(kScheme) ||
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; }))
    return bad();
  std::string_view rest = text.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  Url url;
  url.path = path;
  std::size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad();
    url.host = authority.substr(1, close - 1);
    colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && authority[colon] != ':') return bad();
  } else {
    url.host = authority.substr(0, colon);
  }
  if (colon != std::string_view::npos &&
      (!parse_number(authority.substr(colon + 1), url.port) || url.port == 0))
    return bad();
  if (url.host.empty()) return bad();
  return url;
}

Expected<HttpAnswer> HttpAnswer::open(const Url& url, const HttpRequest& request, int interrupt_fd,
                                      const HttpTimeouts& timeouts) {
  const auto fd = connect_to(url, interrupt_fd, timeouts.connect);
  if (!fd) return tl::unexpected<Error>(fd.error());
  HttpAnswer answer(*fd, interrupt_fd, timeouts);
  TROUPE_TRY(answer.send(request_text(url, request)));
  TROUPE_TRY(answer.read_header());
  return answer;
}

HttpAnswer::HttpAnswer(HttpAnswer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      interrupt_fd_(other.interrupt_fd_),
      timeouts_(other.timeouts_),
      status_(other.status_),
      headers_(std::move(other.headers_)),
      pending_(std::move(other.pending_)),
      chunked_(std::move(other.chunked_)),
      left_(other.left_) {}

HttpAnswer::~HttpAnswer() {
  if (fd_ >= 0) ::close(fd_);
}

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const auto& [key, value] : headers_)
    if (key == name) return value;
  return {};
}

Expected<void> HttpAnswer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    TROUPE_TRY(wait_for(fd_, POLLOUT, interrupt_fd_, timeouts_.silence));
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
      return fail(Errc::peer_lost, std::string("send: ") + std::strerror(errno));
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Expected<std::string> HttpAnswer::receive() {
  std::string buffer(16U << 10, '\0');
  for (;;) {
    TROUPE_TRY(wait_for(fd_, POLLIN, interrupt_fd_, timeouts_.silence));
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got >= 0) {
      buffer.resize(static_cast<std::size_t>(got));
      return buffer;
    }
    if (errno != EAGAIN && errno != EINTR)
      return fail(Errc::peer_lost, std::string("recv: ") + std::strerror(errno));
  }
}

Expected<void> HttpAnswer::read_header() {
  std::string text;
  std::size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) {
    if (text.size() > kLargestHeader)
      return fail(Errc::header_too_large, "the answer's header is over 64 KiB");
    const auto more = receive();
    if (!more) return tl::unexpected<Error>(more.error());
    if (more->empty()) return fail(Errc::peer_lost, "the connection closed before an answer");
    text += *more;
  }
  pending_ = text.substr(end + 4);
  return parse_header(std::string_view(text).substr(0, end + 2));
}

Expected<void> HttpAnswer::parse_header(std::string_view text) {
  const auto bad = [](std::string_view line) {
    return fail(Errc::wire_malformed,
                "found \"" + std::string(line.substr(0, 80)) + "\", expected an HTTP/1.1 header");
  };
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 2));
    if (first) {
      if (!line.starts_with("HTTP/1.") || line.size() < 12 || !parse_number(line.substr(9, 3), status_))
        return bad(line);
      first = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return bad(line);
    headers_.emplace_back(lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  if (lower(header("transfer-encoding")).find("chunked") != std::string::npos) {
    chunked_.emplace();
  } else if (const std::string_view length = header("content-length"); !length.empty()) {
    std::uint64_t bytes = 0;
    if (!parse_number(length, bytes)) return bad(length);
    left_ = bytes;
  }
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
