// KV events over ZeroMQ (its wall): one thread per sender, one per receiver, which owns the sockets.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include <zmq.hpp>

#include "common/base/log.hpp"
#include "common/kv_events/vllm_codec.hpp"
#include "common/transport/event_sockets.hpp"
#include "common/transport/zmq_curve.hpp"
#include "common/transport/zmq_dial.hpp"

namespace troupe {
namespace {

using Clock = std::chrono::steady_clock;
using Number = std::array<std::uint8_t, 8>;

constexpr std::uint64_t kEnd = UINT64_MAX;  // -1
constexpr int kQueue = 100000;              // batches a slow peer may lag, per socket
constexpr std::size_t kAtOnce = 256;        // then others are looked after

Number to_bytes(std::uint64_t value) {
  Number out;
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return out;
}
std::optional<std::uint64_t> to_number(const zmq::message_t& part) {
  if (part.size() != 8) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<const std::uint8_t*>(part.data())[i];
  return value;
}

/// All parts of one message; empty when there is none. Parts beyond eight are read and dropped.
std::vector<zmq::message_t> receive(zmq::socket_t& socket) {
  std::vector<zmq::message_t> parts;
  for (;;) {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait)) return {};
    const bool more = part.more();
    if (parts.size() < 8) parts.push_back(std::move(part));
    if (!more) return parts;
  }
}

/// Something to interrupt a poll with.
class Wake {
 public:
  Wake() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { TROUPE_CHECK(fd_ >= 0, "eventfd failed"); }
  ~Wake() { ::close(fd_); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  void set() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);  // full means it is set
  }
  void clear() const {
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd_, &ignored, sizeof ignored);
  }
  [[nodiscard]] zmq::pollitem_t item() const { return {nullptr, fd_, ZMQ_POLLIN, 0}; }

 private:
  const int fd_;
};

std::string bind(zmq::socket_t& socket, const std::string& endpoint) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, kQueue);
  socket.bind(endpoint);
  std::string bound = socket.get(zmq::sockopt::last_endpoint);
  while (!bound.empty() && bound.back() == '\0') bound.pop_back();
  return bound;
}

class Sender final : public EventSender {
 public:
  explicit Sender(const EventSenderOptions& options)
      : options_(options), gate_(context_, options.keys, "kv_events"), pub_(context_, zmq::socket_type::pub),
        replay_(context_, zmq::socket_type::router),
        log_(options.max_batches, options.max_bytes) {}
  ~Sender() override {
    stopping_ = true;
    wake_.set();
    if (thread_.joinable()) thread_.join();
  }

  Expected<void> start() {
    try {
      address_ = open(pub_, options_.endpoint);
      if (!options_.replay_endpoint.empty()) replay_address_ = open(replay_, options_.replay_endpoint);
    } catch (const zmq::error_t& error) {
      const Errc code = error.num() == EADDRINUSE ? Errc::address_in_use
                        : error.num() == EINVAL   ? Errc::invalid_argument
                                                  : Errc::io_failed;
      return fail(code, "KV events on " + options_.endpoint + " and " + options_.replay_endpoint + ": " + error.what());
    }
    gate_.start();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void publish(std::vector<std::uint8_t> payload) override {
    {
      const std::lock_guard lock(mutex_);
      (void)log_.append(std::move(payload));
    }
    wake_.set();
  }
  const std::string& address() const override { return address_; }
  const std::string& replay_address() const override { return replay_address_; }
  std::uint64_t handshakes_refused() const override { return gate_.refused(); }

 private:
  std::string open(zmq::socket_t& socket, const std::string& endpoint) {
    gate_.guard(socket);
    return bind(socket, endpoint);
  }

  void run() {
    auto quiet_since = Clock::now();
    while (!stopping_) {
      std::vector<zmq::pollitem_t> items{wake_.item(), {replay_.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(items, std::clamp(std::chrono::ceil<std::chrono::milliseconds>(quiet_since + idle() - Clock::now()),
                                  std::chrono::milliseconds(1), idle()));
      wake_.clear();
      if (send_new()) {
        quiet_since = Clock::now();
        idle_sent_ = false;
      } else if (Clock::now() - quiet_since >= idle()) {
        publish(kv_events::encode({std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(), {}, {}}));
        (void)send_new();
        quiet_since = Clock::now();
        idle_sent_ = true;
      }
      for (std::size_t i = 0; i < kAtOnce && answer_replay(); ++i) {
      }
    }
  }

  // The first empty batch closes what was published; later ones only tell new subscribers who publishes here.
  [[nodiscard]] std::chrono::milliseconds idle() const { return idle_sent_ ? 5 * options_.idle : options_.idle; }

  [[nodiscard]] std::vector<kv_events::LogEntry> since(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    return log_.since(number);
  }

  bool send_new() {
    const auto entries = since(sent_);
    for (const auto& entry : entries) {
      sent_ = entry.sequence + 1;
      const Number number = to_bytes(entry.sequence);
      pub_.send(zmq::buffer(options_.topic), zmq::send_flags::sndmore);  // PUB never blocks
      pub_.send(zmq::buffer(number), zmq::send_flags::sndmore);
      pub_.send(zmq::buffer(*entry.payload), zmq::send_flags::none);
    }
    return !entries.empty();
  }

  /// [peer, "", number] from a REQ or a DEALER that plays one.
  bool answer_replay() {
    auto parts = receive(replay_);
    if (parts.empty()) return false;
    const auto from = parts.size() == 3 && parts[1].size() == 0 ? to_number(parts[2]) : std::nullopt;
    if (!from) {
      log::warn("a replay request is not an empty part and a number of 8 bytes");
      return true;
    }
    for (const auto& entry : since(*from)) answer(parts[0], entry.sequence, *entry.payload);
    answer(parts[0], kEnd, {});
    return true;
  }
  void answer(const zmq::message_t& peer, std::uint64_t sequence, const std::vector<std::uint8_t>& payload) {
    const Number number = to_bytes(sequence);
    const zmq::const_buffer parts[] = {{peer.data(), peer.size()}, {"", 0}, zmq::buffer(number), zmq::buffer(payload)};
    for (std::size_t i = 0; i < 4; ++i)
      if (!replay_.send(parts[i], (i < 3 ? zmq::send_flags::sndmore : zmq::send_flags::none) | zmq::send_flags::dontwait))
        return;
  }

  const EventSenderOptions options_;
  zmq::context_t context_{1};
  CurveGate gate_;  // outlives what it guards
  zmq::socket_t pub_, replay_;
  std::string address_, replay_address_;
  Wake wake_;
  std::atomic<bool> stopping_{false};
  std::uint64_t sent_ = 0;  // the thread's
  bool idle_sent_ = false;  // the thread's
  mutable std::mutex mutex_;
  kv_events::EventLog log_;
  std::thread thread_;
};

class Receiver final : public EventReceiver {
 public:
  Receiver(EventHandlers handlers, std::shared_ptr<const security::ClusterKeys> keys)
      : handlers_(std::move(handlers)), keys_(std::move(keys)) {}
  ~Receiver() override {
    stopping_ = true;
    wake_.set();
    if (thread_.joinable()) thread_.join();
  }

  Expected<void> start(const std::vector<EventSource>& sources) {
    for (const EventSource& source : sources) {
      try {
        ZmqDial sub(context_, zmq::socket_type::sub, keys_, [](zmq::socket_t& socket) {
          socket.set(zmq::sockopt::rcvhwm, kQueue);
          socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kv_events::kMaxPayload));
          socket.set(zmq::sockopt::subscribe, "");
        });
        sub.connect(source.endpoint);
        ZmqDial replay(context_, zmq::socket_type::dealer, keys_, [](zmq::socket_t& socket) {
          socket.set(zmq::sockopt::rcvhwm, kQueue);
          socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kv_events::kMaxPayload));
          socket.set(zmq::sockopt::immediate, true);  // no question waits for the publisher's next incarnation
        });
        if (!source.replay_endpoint.empty()) replay.connect(source.replay_endpoint);
        subs_.push_back(std::move(sub));
        replays_.push_back(std::move(replay));
        has_replay_.push_back(!source.replay_endpoint.empty());
      } catch (const zmq::error_t& error) {
        return fail(Errc::invalid_argument, "KV events from " + source.endpoint + " and " + source.replay_endpoint +
                                                ": " + error.what());
      }
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void ask_replay(std::size_t source, std::uint64_t from) override {
    if (source >= has_replay_.size() || !has_replay_[source]) return;
    {
      const std::lock_guard lock(mutex_);
      if (questions_.size() >= 4 * has_replay_.size()) return;  // its owner asks again
      questions_.emplace_back(source, from);
    }
    wake_.set();
  }

 private:
  void run() {
    while (!stopping_) {
      std::vector<zmq::pollitem_t> items{wake_.item()};
      for (ZmqDial& dial : subs_) dial.add_to(items, ZMQ_POLLIN);
      for (ZmqDial& dial : replays_) dial.add_to(items, ZMQ_POLLIN);
      zmq::poll(items, std::chrono::milliseconds(-1));
      wake_.clear();
      for (ZmqDial& dial : subs_) dial.look();
      for (ZmqDial& dial : replays_) dial.look();
      for (std::size_t source = 0; source < subs_.size(); ++source) {
        for (zmq::socket_t* socket : subs_[source].sockets())
          for (std::size_t i = 0; i < kAtOnce && take_event(source, *socket); ++i) {
          }
        for (zmq::socket_t* socket : replays_[source].sockets())
          for (std::size_t i = 0; i < kAtOnce && take_replay(source, *socket); ++i) {
          }
      }
      ask();
    }
  }

  bool take_event(std::size_t source, zmq::socket_t& socket) {
    const auto parts = receive(socket);
    if (parts.empty()) return false;
    const auto number = parts.size() == 3 ? to_number(parts[1]) : std::nullopt;
    if (number) handlers_.received(source, parts[0].to_string(), *number, bytes(parts[2]));
    else log::warn("KV events are a topic, a number of 8 bytes and a payload", {{"parts", parts.size()}});
    return true;
  }
  bool take_replay(std::size_t source, zmq::socket_t& socket) {
    const auto parts = receive(socket);
    if (parts.empty()) return false;
    const auto number = parts.size() == 3 ? to_number(parts[1]) : std::nullopt;
    if (!number) log::warn("a replay is an empty part, a number of 8 bytes and a payload");
    else if (*number == kEnd) handlers_.replay_ended(source);
    else handlers_.received(source, {}, *number, bytes(parts[2]));
    return true;
  }
  static std::span<const std::uint8_t> bytes(const zmq::message_t& part) {
    return {static_cast<const std::uint8_t*>(part.data()), part.size()};
  }
  void ask() {
    std::vector<std::pair<std::size_t, std::uint64_t>> questions;
    {
      const std::lock_guard lock(mutex_);
      questions.swap(questions_);
    }
    for (const auto& [source, from] : questions) {
      const Number number = to_bytes(from);
      // Refused while nobody is connected: the owner asks again when no answer comes.
      for (zmq::socket_t* socket : replays_[source].sockets()) {
        if (!socket->send(zmq::const_buffer("", 0), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) continue;
        socket->send(zmq::buffer(number), zmq::send_flags::dontwait);
        break;
      }
    }
  }

  const EventHandlers handlers_;
  const std::shared_ptr<const security::ClusterKeys> keys_;
  zmq::context_t context_{1};
  std::vector<ZmqDial> subs_, replays_;
  std::vector<bool> has_replay_;
  Wake wake_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::pair<std::size_t, std::uint64_t>> questions_;
  std::thread thread_;
};

}  // namespace

Expected<std::unique_ptr<EventSender>> EventSender::create(const EventSenderOptions& options) {
  auto sender = std::make_unique<Sender>(options);
  TROUPE_TRY(sender->start());
  return sender;
}

Expected<std::unique_ptr<EventReceiver>> EventReceiver::create(const std::vector<EventSource>& sources,
                                                               EventHandlers handlers,
                                                               std::shared_ptr<const security::ClusterKeys> keys) {
  auto receiver = std::make_unique<Receiver>(std::move(handlers), std::move(keys));
  TROUPE_TRY(receiver->start(sources));
  return receiver;
}

}  // namespace troupe
