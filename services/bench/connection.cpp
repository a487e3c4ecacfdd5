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

}  // namespace

StreamPool::Connection::Connection(std::uint64_t id, std::string request, const StreamPool& pool,
                                   HttpSocket kept)
    : id_(id),
      request_(std::move(request)),
      pool_(pool),
      socket_(std::move(kept)),
      wanted_(POLLOUT),
      kept_(static_cast<bool>(socket_)),
      state_(kept_ ? State::sending : State::connecting) {
  if (!socket_) connect();
}

StreamEnd StreamPool::Connection::failed(Errc code, std::string detail) const {
  return {head_.status, Error{code, std::move(detail)}, {}};
}

void StreamPool::Connection::connect() {
  state_ = State::connecting;
  wanted_ = POLLOUT;
  sent_ = 0;
  while (next_address_ < pool_.addresses_.size()) {
    const Address& to = pool_.addresses_[next_address_++];
    const int fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      connect_error_ = errno;
      continue;
    }
    socket_ = HttpSocket(fd, pool_.trust_, pool_.url_.host);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0 || errno == EINPROGRESS)
      return;
    connect_error_ = errno;
    socket_.close();
  }
}

std::optional<StreamEnd> StreamPool::Connection::step(StreamSink& sink) {
  if (!socket_) return failed(Errc::peer_lost, std::string("connect: ") + std::strerror(connect_error_));
  if (state_ == State::connecting) return step_connecting();
  if (state_ == State::sending) return step_sending();
  return step_reading(sink);
}

std::optional<StreamEnd> StreamPool::Connection::step_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    connect_error_ = error;
    socket_.close();
    connect();
    if (socket_) return std::nullopt;
    return failed(Errc::peer_lost, std::string("connect: ") + std::strerror(connect_error_));
  }
  state_ = State::sending;
  return step_sending();
}

std::optional<StreamEnd> StreamPool::Connection::step_sending() {
  while (sent_ < request_.size()) {
    const Moved moved = socket_.send(std::string_view(request_).substr(sent_));
    if (moved.state == Moved::State::closed || moved.state == Moved::State::failed) return closed(moved.why);
    if (moved.state != Moved::State::moved) {
      wait(moved);
      return std::nullopt;
    }
    sent_ += moved.bytes;
  }
  state_ = State::head;
  wanted_ = POLLIN;
  return std::nullopt;
}

void StreamPool::Connection::wait(const Moved& moved) {
  wanted_ = moved.state == Moved::State::wants_write ? POLLOUT : POLLIN;
}

/// The server may close a kept connection just as we send on it: once, on a new one, is no error.
std::optional<StreamEnd> StreamPool::Connection::closed(const std::string& why) {
  if (kept_ && head_text_.empty() && head_.status == 0) {
    kept_ = false;
    socket_.close();
    next_address_ = 0;
    connect();
    return std::nullopt;
  }
  if (pool_.trust_ && !why.empty()) return failed(Errc::peer_lost, why);
  return failed(Errc::peer_lost, state_ == State::body ? "the connection closed inside the answer"
                                                       : "the connection closed before an answer");
}

std::optional<StreamEnd> StreamPool::Connection::step_reading(StreamSink& sink) {
  std::array<char, 32U << 10> buffer;
  for (;;) {
    const Moved moved = socket_.receive(buffer);
    const TimePoint at = std::chrono::steady_clock::now();
    if (moved.state == Moved::State::wants_read || moved.state == Moved::State::wants_write) {
      wait(moved);
      return std::nullopt;
    }
    if (moved.state != Moved::State::moved) {
      const bool until_close = state_ == State::body && !head_.chunked && !head_.length;
      if (moved.state == Moved::State::closed && until_close)
        return StreamEnd{head_.status, {}, std::move(body_)};
      return closed(moved.why);
    }
    if (auto end = take(std::string_view(buffer.data(), moved.bytes), at, sink)) return end;
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

HttpSocket StreamPool::Connection::release_if_kept() {
  if (!socket_ || !whole() || !head_.keeps_connection()) return {};
  return std::move(socket_);
}

}  // namespace troupe::load
