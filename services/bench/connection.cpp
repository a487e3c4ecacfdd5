#include "services/bench/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace troupe::load {
namespace {

constexpr std::size_t kKeptBody = 64U << 10;  // of an answer that is no stream

bool would_wait(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

StreamPool::Connection::Connection(std::uint64_t id, std::string request,
                                   const std::vector<Address>& addresses, int kept)
    : id_(id),
      request_(std::move(request)),
      addresses_(addresses),
      fd_(kept),
      kept_(kept >= 0),
      state_(kept >= 0 ? State::sending : State::connecting) {
  if (fd_ < 0) connect();
}

StreamPool::Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

short StreamPool::Connection::wanted() const {
  return state_ == State::connecting || state_ == State::sending ? POLLOUT : POLLIN;
}

StreamEnd StreamPool::Connection::failed(Errc code, std::string detail) const {
  return {head_.status, Error{code, std::move(detail)}, {}};
}

void StreamPool::Connection::connect() {
  state_ = State::connecting;
  sent_ = 0;
  while (next_address_ < addresses_.size()) {
    const Address& to = addresses_[next_address_++];
    fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) {
      connect_error_ = errno;
      continue;
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0 || errno == EINPROGRESS)
      return;
    connect_error_ = errno;
    ::close(std::exchange(fd_, -1));
  }
}

std::optional<StreamEnd> StreamPool::Connection::step(StreamSink& sink) {
  if (fd_ < 0) return failed(Errc::peer_lost, std::string("connect: ") + std::strerror(connect_error_));
  if (state_ == State::connecting) return step_connecting();
  if (state_ == State::sending) return step_sending();
  return step_reading(sink);
}

std::optional<StreamEnd> StreamPool::Connection::step_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    connect_error_ = error;
    ::close(std::exchange(fd_, -1));
    connect();
    if (fd_ >= 0) return std::nullopt;
    return failed(Errc::peer_lost, std::string("connect: ") + std::strerror(connect_error_));
  }
  state_ = State::sending;
  return step_sending();
}

std::optional<StreamEnd> StreamPool::Connection::step_sending() {
  while (sent_ < request_.size()) {
    const ssize_t n = ::send(fd_, request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && would_wait(errno)) return std::nullopt;
    if (n < 0) return closed();
    sent_ += static_cast<std::size_t>(n);
  }
  state_ = State::head;
  return std::nullopt;
}

/// The server may close a kept connection just as we send on it: once, on a new one, is no error.
std::optional<StreamEnd> StreamPool::Connection::closed() {
  if (kept_ && head_text_.empty() && head_.status == 0) {
    kept_ = false;
    ::close(std::exchange(fd_, -1));
    next_address_ = 0;
    connect();
    return std::nullopt;
  }
  return failed(Errc::peer_lost, state_ == State::body ? "the connection closed inside the answer"
                                                       : "the connection closed before an answer");
}

std::optional<StreamEnd> StreamPool::Connection::step_reading(StreamSink& sink) {
  std::array<char, 32U << 10> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    const TimePoint at = std::chrono::steady_clock::now();
    if (n < 0 && would_wait(errno)) return std::nullopt;
    if (n <= 0) {
      const bool until_close = state_ == State::body && !head_.chunked && !head_.length;
      if (n == 0 && until_close) return StreamEnd{head_.status, {}, std::move(body_)};
      return closed();
    }
    if (auto end = take(std::string_view(buffer.data(), static_cast<std::size_t>(n)), at, sink)) return end;
  }
}

std::optional<StreamEnd> StreamPool::Connection::take(std::string_view bytes, TimePoint at,
                                                      StreamSink& sink) {
  if (state_ == State::body) return take_body(bytes, at, sink);
  const std::size_t before = head_text_.size();
  head_text_.append(bytes);
  const std::size_t end = head_text_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end == std::string::npos) {
    if (head_text_.size() <= kLargestHead) return std::nullopt;
    return failed(Errc::header_too_large, "the answer's header is over 64 KiB");
  }
  auto head = parse_head(std::string_view(head_text_).substr(0, end + 2));
  if (!head) return failed(head.error().code, std::move(head.error().detail));
  head_ = std::move(*head);
  body_left_ = head_.length.value_or(0);
  events_ = head_.header("content-type").starts_with("text/event-stream");
  state_ = State::body;
  const std::string rest = head_text_.substr(end + 4);
  return take_body(rest, at, sink);
}

std::optional<StreamEnd> StreamPool::Connection::take_body(std::string_view bytes, TimePoint at,
                                                           StreamSink& sink) {
  std::string decoded;
  if (head_.chunked) {
    auto body = chunked_.feed(bytes);
    if (!body) return failed(body.error().code, std::move(body.error().detail));
    decoded = std::move(*body);
    bytes = decoded;
  } else if (head_.length) {
    bytes = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), body_left_)));
    body_left_ -= bytes.size();
  }
  if (!events_) {
    body_.append(bytes.substr(0, kKeptBody - std::min(kKeptBody, body_.size())));
  } else {
    auto events = parser_.feed(bytes);
    if (!events) return failed(events.error().code, std::move(events.error().detail));
    for (const std::string& event : *events) sink.on_event(id_, event, at);
  }
  if (!whole()) return std::nullopt;
  return StreamEnd{head_.status, {}, std::move(body_)};
}

bool StreamPool::Connection::whole() const {
  if (state_ != State::body) return false;
  return head_.chunked ? chunked_.finished() : head_.length && body_left_ == 0;
}

int StreamPool::Connection::release_if_kept() {
  if (fd_ < 0 || !whole() || !head_.keeps_connection()) return -1;
  return std::exchange(fd_, -1);
}

}  // namespace troupe::load
