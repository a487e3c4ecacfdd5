#pragma once
// The subscriber's side of one publisher: puts batches in order, drops what comes twice, and says when to ask
// for a replay and when for a snapshot.
//
//   in order ------------------------------------------> ready
//   ahead ----> held, in a window ----> the gap closes -> ready
//                  | a little later: ask a replay (up to three times)
//                  | that does not reach back far enough: ask a snapshot (AllCleared and all that is stored)
//                  | no snapshots there (other engines): AllCleared, then what is held; the index knows less
//                  |   for a while and says nothing wrong
//   behind ---> seen before: dropped; younger than anything seen: the publisher began anew, AllCleared
//
// Sequence numbers start at 0 with the publisher. The wire has no epoch, so a replay is asked from one batch
// before the gap: a publisher that restarted shows there by its younger timestamp.
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/clock.hpp"
#include "common/kv_events/event.hpp"

namespace troupe::kv_events {

struct TrackerOptions {
  std::size_t window = 1024;  ///< batches held while an earlier one is missing
  Duration patience = std::chrono::milliseconds(20);  ///< reordered batches come within it
  Duration answer_time = std::chrono::milliseconds(500);  ///< then it is asked again
  unsigned replays = 3;                                   ///< of one gap, before a snapshot
  bool snapshots = true;                                  ///< the publisher can make them
};

struct TrackerCounters {
  std::uint64_t batches = 0, duplicates = 0, held = 0, overrun = 0;
  std::uint64_t gaps = 0, replays = 0, snapshots = 0, given_up = 0, restarts = 0;
  TrackerCounters& operator+=(const TrackerCounters& other);
};

enum class Ask : std::uint8_t { nothing, replay, snapshot };

/// Threads: one. Cost: O(log window) per batch.
class EventTracker {
 public:
  explicit EventTracker(const TrackerOptions& options) : options_(options) {}

  /// A batch of the stream or of a replay; what can be applied now is appended to `ready`.
  void take(std::uint64_t sequence, EventBatch batch, TimePoint now, std::vector<EventBatch>& ready);
  /// The publisher has sent all it keeps.
  void replay_ended(TimePoint now, std::vector<EventBatch>& ready);
  /// What to ask for now; saying it counts as asking. The first is a replay of everything.
  [[nodiscard]] Ask due(TimePoint now, std::vector<EventBatch>& ready);
  /// Where a replay begins.
  [[nodiscard]] std::uint64_t replay_from() const { return next_ == 0 ? 0 : next_ - 1; }
  /// When due() may have something to say; none: not before the next batch.
  [[nodiscard]] std::optional<TimePoint> wake_at() const;

  [[nodiscard]] bool complete() const { return started_ && held_.empty(); }
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] const TrackerCounters& counters() const { return counters_; }

 private:
  void apply(EventBatch batch, std::vector<EventBatch>& ready);
  void drain(TimePoint now, std::vector<EventBatch>& ready);
  void give_up(TimePoint now, std::vector<EventBatch>& ready);

  TrackerOptions options_;
  std::uint64_t next_ = 0;
  double newest_ = -1;  // timestamp applied last
  std::map<std::uint64_t, EventBatch> held_;
  bool started_ = false;  // the first replay was answered, or is not needed
  std::optional<TimePoint> gap_since_, asked_;
  unsigned replays_ = 0;  // for this gap
  bool wants_snapshot_ = false;
  TrackerCounters counters_;
};

}  // namespace troupe::kv_events
