#include "services/bench/stream_pool.hpp"

#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "services/bench/connection.hpp"

namespace troupe::load {
namespace {

/// Milliseconds to wait for, never longer than asked: poll's step is a millisecond, so the last one spins.
int wait_milliseconds(TimePoint until) {
  const auto left = std::chrono::floor<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1000));
}

}  // namespace

Expected<StreamPool> StreamPool::make(const Url& url, const StreamLimits& limits,
                                      std::shared_ptr<const TlsTrust> trust) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &list);
      error != 0)
    return fail(Errc::peer_lost, place(url) + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    Address& address = addresses.emplace_back();
    address.size = std::min<socklen_t>(each->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, each->ai_addr, address.size);
  }
  if (url.secure && !trust) {
    auto system = TlsTrust::load();
    if (!system) return tl::unexpected<Error>(system.error());
    trust = std::move(*system);
  }
  return StreamPool(url, limits, std::move(addresses), url.secure ? std::move(trust) : nullptr);
}

StreamPool::StreamPool(Url url, const StreamLimits& limits, std::vector<Address> addresses,
                       std::shared_ptr<const TlsTrust> trust)
    : url_(std::move(url)), limits_(limits), addresses_(std::move(addresses)), trust_(std::move(trust)) {}

// Connections refer to their pool: only a pool without open answers may move, and only make()'s
// result does.
StreamPool::StreamPool(StreamPool&& other) noexcept = default;

StreamPool::~StreamPool() = default;

void StreamPool::start(std::uint64_t id, const HttpRequest& request) {
  HttpSocket kept;
  if (!idle_.empty()) {
    kept = std::move(idle_.back());
    idle_.pop_back();
  }
  busy_.push_back(
      std::make_unique<Connection>(id, request_text(url_, request, true), *this, std::move(kept)));
  busy_.back()->started = std::chrono::steady_clock::now();
}

std::size_t StreamPool::open() const {
  return busy_.size();
}

bool StreamPool::poll(TimePoint until, int interrupt_fd, StreamSink& sink) {
  std::vector<pollfd> fds;
  fds.reserve(busy_.size() + 1);
  bool broken = false;  // no descriptor: its failure is told at once
  for (const auto& each : busy_) {
    fds.push_back({each->fd(), each->wanted(), 0});
    until = std::min(until, each->started + (each->connecting() ? limits_.connect : limits_.answer));
    broken = broken || each->fd() < 0;
  }
  fds.push_back({interrupt_fd, POLLIN, 0});
  (void)::poll(fds.data(), fds.size(), broken ? 0 : wait_milliseconds(until));
  if (fds.back().revents != 0) return false;
  // From the back: an ended answer's place is taken by the last, which was looked at already, or is new.
  for (std::size_t i = fds.size() - 1; i-- > 0;) step(i, fds[i].revents, sink);
  return true;
}

void StreamPool::step(std::size_t index, short events, StreamSink& sink) {
  Connection& connection = *busy_[index];
  if (events != 0 || connection.fd() < 0) {
    if (const auto end = connection.step(sink)) finish(index, *end, std::chrono::steady_clock::now(), sink);
    return;
  }
  const TimePoint now = std::chrono::steady_clock::now();
  const Duration limit = connection.connecting() ? limits_.connect : limits_.answer;
  if (now - connection.started >= limit)
    finish(index, connection.failed(Errc::deadline_exceeded, "no whole answer in the time allowed"), now,
           sink);
}

void StreamPool::finish(std::size_t index, const StreamEnd& end, TimePoint at, StreamSink& sink) {
  const std::uint64_t id = busy_[index]->id();
  if (HttpSocket kept = busy_[index]->release_if_kept()) idle_.push_back(std::move(kept));
  std::swap(busy_[index], busy_.back());
  busy_.pop_back();
  sink.on_end(id, end, at);
}

void StreamPool::cancel_all(StreamSink& sink) {
  while (!busy_.empty())
    finish(busy_.size() - 1, busy_.back()->failed(Errc::cancelled, "stopped"),
           std::chrono::steady_clock::now(), sink);
}

}  // namespace troupe::load
