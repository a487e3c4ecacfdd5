#pragma once
// KV events between processes, in vLLM's ZeroMQ wire: a PUB socket with [topic, number, payload], and a ROUTER
// socket that answers "from this number on" with [number, payload]... and number -1. Numbers are 8 bytes,
// big-endian. What they say: common/kv_events.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.hpp"
#include "common/kv_events/event_log.hpp"
#include "common/security/key_folder.hpp"

namespace troupe {

struct EventSenderOptions {
  std::string endpoint;         ///< "tcp://host:port", bound
  std::string replay_endpoint;  ///< the same for replays; empty: none
  std::string topic;
  std::chrono::milliseconds idle{1000};  ///< then an empty batch, so that a lost last one is missed
  std::size_t max_batches = 10000;       ///< kept for replays
  std::size_t max_bytes = std::size_t{64} << 20;
  std::shared_ptr<const security::ClusterKeys> keys = nullptr;  ///< others are refused; null: everybody is answered
};

/// Publishes one feed. A subscriber that is too slow misses batches and asks for them; nobody waits for it.
class EventSender {
 public:
  /// Errors: address_in_use, invalid_argument, io_failed.
  [[nodiscard]] static Expected<std::unique_ptr<EventSender>> create(const EventSenderOptions& options);
  virtual ~EventSender() = default;
  /// An encoded batch. Never blocks. Threads: any.
  virtual void publish(std::vector<std::uint8_t> payload) = 0;
  /// As bound, with real ports.
  [[nodiscard]] virtual const std::string& address() const = 0;
  [[nodiscard]] virtual const std::string& replay_address() const = 0;
  /// Subscribers and askers without the keys. Threads: any.
  [[nodiscard]] virtual std::uint64_t handshakes_refused() const = 0;
};

struct EventSource {
  std::string endpoint;
  std::string replay_endpoint;  ///< empty: it answers no replays
};

/// Called on the receiver's thread; must not block. `source` is the place in the list of sources.
struct EventHandlers {
  /// `topic` is empty for a replayed batch.
  std::function<void(std::size_t source, const std::string& topic, std::uint64_t number,
                     std::span<const std::uint8_t> payload)>
      received;
  std::function<void(std::size_t source)> replay_ended;
};

/// Subscribes to any number of feeds, whether they are there yet or not.
class EventReceiver {
 public:
  /// Errors: invalid_argument (an endpoint that cannot be dialled).
  [[nodiscard]] static Expected<std::unique_ptr<EventReceiver>> create(const std::vector<EventSource>& sources, EventHandlers handlers,
                                                                       std::shared_ptr<const security::ClusterKeys> keys = nullptr);
  virtual ~EventReceiver() = default;
  /// No-op for a source without replays. Threads: any.
  virtual void ask_replay(std::size_t source, std::uint64_t from) = 0;
};

}  // namespace troupe
