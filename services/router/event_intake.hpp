#pragma once
// Subscribes the router to KV events (option router.kv_events) and hands them to its state.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/actors/runtime.hpp"
#include "common/transport/event_sockets.hpp"

namespace troupe::router {

/// "host:port" or "host:port/host:port" (for replays) each. Errors: config_invalid.
[[nodiscard]] Expected<std::vector<EventSource>> parse_event_sources(const std::vector<std::string>& texts);

/// Outlives the router it feeds. Threads: any, but for start and stop.
class EventIntake {
 public:
  /// Errors: invalid_argument. `router` hosts a RouterState made with as many event_sources.
  /// `keys`: with which feeds are dialled; null: none.
  [[nodiscard]] Expected<void> start(const std::vector<EventSource>& sources, const actors::RoleHandle& router,
                                     std::shared_ptr<const security::ClusterKeys> keys = nullptr);
  /// Posts nothing more. Must be called while the router's runtime lives.
  void stop();
  /// RouterOptions::ask_replay. Before start() it is dropped, and asked again.
  void ask_replay(std::size_t source, std::uint64_t from);

 private:
  std::mutex mutex_;  // guards receiver_
  std::unique_ptr<EventReceiver> receiver_;
};

}  // namespace troupe::router
