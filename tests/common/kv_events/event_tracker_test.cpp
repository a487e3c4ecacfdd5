#include "common/kv_events/event_tracker.hpp"

#include <gtest/gtest.h>

namespace troupe::kv_events {
namespace {

using namespace std::chrono_literals;

/// One subscriber; batch n of an epoch stores block n, at time n of that epoch.
struct Rig {
  explicit Rig(TrackerOptions options = {}) : tracker(options) {}
  static EventBatch batch(std::uint64_t n, double epoch = 0) {
    EventBatch out;
    out.timestamp = 1000 + epoch + static_cast<double>(n);
    out.events.emplace_back(BlocksStored{{BlockKey{0, n}}, {}, {}, 16, Tier::memory});
    return out;
  }
  static EventBatch snapshot(std::uint64_t n) {
    EventBatch out = batch(n);
    out.events.emplace_back(AllCleared{});
    std::swap(out.events.front(), out.events.back());
    return out;
  }
  void take(std::uint64_t n, double epoch = 0) { tracker.take(n, batch(n, epoch), now, ready); }
  /// Blocks in the order they came out; 999 for a clearing.
  std::vector<std::uint64_t> out() {
    std::vector<std::uint64_t> blocks;
    for (const EventBatch& one : ready)
      for (const Event& event : one.events)
        blocks.push_back(std::holds_alternative<AllCleared>(event) ? 999
                                                                   : std::get<BlocksStored>(event).blocks[0].low);
    ready.clear();
    return blocks;
  }
  Ask due(Duration later = 0ms) {
    now += later;
    return tracker.due(now, ready);
  }
  EventTracker tracker;
  TimePoint now{1h};
  std::vector<EventBatch> ready;
};
using Out = std::vector<std::uint64_t>;

TEST(EventTracker, BeginsWithAReplayOfEverything) {
  Rig r;
  EXPECT_EQ(r.due(), Ask::replay);
  EXPECT_EQ(r.tracker.replay_from(), 0u);
  EXPECT_EQ(r.due(499ms), Ask::nothing);
  for (std::uint64_t n = 0; n < 3; ++n) r.take(n);
  r.tracker.replay_ended(r.now, r.ready);
  EXPECT_EQ(r.out(), (Out{0, 1, 2}));
  EXPECT_TRUE(r.tracker.complete());
  EXPECT_EQ(r.due(1h), Ask::nothing);
}

TEST(EventTracker, PutsReorderedBatchesInOrderWithoutAsking) {
  Rig r;
  for (const std::uint64_t n : {0u, 3u, 1u, 2u, 2u, 0u, 4u}) r.take(n);
  EXPECT_EQ(r.out(), (Out{0, 1, 2, 3, 4}));
  EXPECT_EQ(r.tracker.counters().duplicates, 2u);
  EXPECT_EQ(r.due(1h), Ask::nothing);
}

TEST(EventTracker, AGapIsReplayedFromOneBatchBefore) {
  Rig r;
  r.take(0);
  r.take(1);
  r.take(4);
  EXPECT_EQ(r.due(10ms), Ask::nothing) << "it may be on its way";
  EXPECT_EQ(r.due(10ms), Ask::replay);
  EXPECT_EQ(r.tracker.replay_from(), 1u);
  for (const std::uint64_t n : {1u, 2u, 3u, 4u}) r.take(n);
  r.tracker.replay_ended(r.now, r.ready);
  EXPECT_EQ(r.out(), (Out{0, 1, 2, 3, 4}));
  EXPECT_EQ(r.tracker.counters().restarts, 0u);
  EXPECT_TRUE(r.tracker.complete());
}

TEST(EventTracker, AReplayThatDoesNotReachBackAsksForASnapshot) {
  Rig r;
  r.take(0);
  r.take(7);
  EXPECT_EQ(r.due(20ms), Ask::replay);
  for (const std::uint64_t n : {5u, 6u, 7u}) r.take(n);
  r.tracker.replay_ended(r.now, r.ready);
  EXPECT_EQ(r.due(), Ask::snapshot);
  EXPECT_EQ(r.due(100ms), Ask::nothing);
  EXPECT_EQ(r.due(400ms), Ask::snapshot) << "asked again";
  r.take(8);
  r.tracker.take(9, Rig::snapshot(9), r.now, r.ready);
  r.take(10);
  EXPECT_EQ(r.out(), (Out{0, 999, 9, 10}));
  EXPECT_TRUE(r.tracker.complete());
}

TEST(EventTracker, UnansweredReplaysEndInASnapshot) {
  Rig r;
  r.take(0);
  r.take(2);
  r.now += 20ms;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(r.due(500ms), Ask::replay);
  EXPECT_EQ(r.due(500ms), Ask::snapshot);
}

TEST(EventTracker, WithoutSnapshotsItForgetsAndGoesOn) {
  TrackerOptions options;
  options.snapshots = false;
  Rig r(options);
  r.take(0);
  r.take(5);
  r.take(6);
  EXPECT_EQ(r.due(20ms), Ask::replay);
  r.tracker.replay_ended(r.now, r.ready);
  EXPECT_EQ(r.out(), (Out{0, 999, 5, 6}));
  EXPECT_EQ(r.tracker.counters().given_up, 1u);
  EXPECT_TRUE(r.tracker.complete());
}

TEST(EventTracker, APublisherThatBeganAnewIsSeenByItsTime) {
  Rig r;
  for (std::uint64_t n = 0; n < 5; ++n) r.take(n);
  r.take(3);
  EXPECT_EQ(r.out(), (Out{0, 1, 2, 3, 4}));
  r.take(0, 100);
  r.take(1, 100);
  EXPECT_EQ(r.out(), (Out{999, 0, 1}));
  EXPECT_EQ(r.tracker.counters().restarts, 1u);
}

TEST(EventTracker, ARestartHiddenInAGapShowsInTheReplay) {
  Rig r;
  for (std::uint64_t n = 0; n < 5; ++n) r.take(n);
  (void)r.out();
  r.take(9, 100);  // 0 to 8 of the new epoch were never seen
  EXPECT_EQ(r.due(20ms), Ask::replay);
  for (std::uint64_t n = r.tracker.replay_from(); n < 10; ++n) r.take(n, 100);
  r.tracker.replay_ended(r.now, r.ready);
  EXPECT_EQ(r.out(), (Out{999}));
  EXPECT_EQ(r.due(20ms), Ask::replay);
  EXPECT_EQ(r.tracker.replay_from(), 0u);
  for (std::uint64_t n = 0; n < 10; ++n) r.take(n, 100);
  EXPECT_EQ(r.out(), (Out{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(EventTracker, HoldsABoundedWindowAndStillComesToOrder) {
  TrackerOptions options;
  options.window = 4;
  Rig r(options);
  r.take(0);
  for (std::uint64_t n = 2; n < 100; ++n) r.take(n);
  EXPECT_GT(r.tracker.counters().overrun, 90u);
  std::size_t asked = 0;
  while (!r.tracker.complete() || r.tracker.next() < 100) {
    ASSERT_LT(++asked, 10u);
    if (r.due(1s) != Ask::replay) break;
    for (std::uint64_t n = r.tracker.replay_from(); n < 100; ++n) r.take(n);
    r.tracker.replay_ended(r.now, r.ready);
  }
  EXPECT_EQ(r.out().size(), 100u);
}

}  // namespace
}  // namespace troupe::kv_events
