#pragma once
// KV events that arrive besides the control plane: one feed per source, put in order by an EventTracker, its
// publisher known by the topic "kv@<node id>@<model>". A member's events replace what it tells by KvUpdate; a
// stranger's (another engine's) are indexed under an identity made of its topic.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/kv_events/event_tracker.hpp"
#include "common/wire/messages.hpp"

namespace troupe::router {

/// Whose blocks a feed tells.
struct Publisher {
  NodeId node;
  ModelId model;
  bool member = false;  ///< of the cluster: it can be asked for a snapshot
};

/// What a feed wants done.
struct FeedActions {
  std::vector<kv_events::EventBatch> apply;  ///< in order
  std::optional<std::uint64_t> replay_from;
  bool snapshot = false;
};

/// Threads: one.
class EventFeeds {
 public:
  /// Finds the publisher of a topic; none: it is of this project and not a member (yet).
  using Lookup = std::function<std::optional<Publisher>(const std::string& topic)>;
  EventFeeds(std::size_t sources, Lookup lookup) : feeds_(sources), lookup_(std::move(lookup)) {}

  /// `topic` is empty for a replayed batch. Payloads that do not parse are counted and leave a gap.
  [[nodiscard]] FeedActions take(std::size_t source, const std::string& topic, std::uint64_t number,
                                 std::span<const std::uint8_t> payload, TimePoint now);
  [[nodiscard]] FeedActions replay_ended(std::size_t source, TimePoint now);
  /// What time asks for.
  [[nodiscard]] FeedActions tick(std::size_t source, TimePoint now);
  /// The node is gone: its feed waits for whoever publishes there next.
  void forget(const NodeId& node);

  [[nodiscard]] std::size_t sources() const { return feeds_.size(); }
  [[nodiscard]] const Publisher* publisher(std::size_t source) const {
    return feeds_[source].publisher ? &*feeds_[source].publisher : nullptr;
  }
  [[nodiscard]] kv_events::TrackerCounters counters() const;  ///< of all feeds there ever were
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  struct Feed {
    std::string topic;
    std::optional<Publisher> publisher;
    std::optional<kv_events::EventTracker> tracker;
  };
  void ask(Feed& feed, TimePoint now, FeedActions& actions);
  void end(Feed& feed);

  std::vector<Feed> feeds_;
  Lookup lookup_;
  kv_events::TrackerCounters past_;
  std::uint64_t malformed_ = 0;
};

/// "kv@<32 hex digits>@<model>" of this project; none: another's.
[[nodiscard]] std::optional<std::pair<NodeId, std::string>> parse_topic(const std::string& topic);

}  // namespace troupe::router
