#include "services/router/placement_book.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

const NodeId kNode{1, 1};

struct Rig {
  void place(std::uint64_t id, double uncached, double prompt = 0, std::int32_t priority = 0,
             std::uint64_t tenant = 0) {
    book.placed(kNode, {{id, id}, uncached, prompt == 0 ? uncached : prompt, priority, clock.now(), tenant});
  }
  void done(std::uint64_t id) { book.done(kNode, {id, id}, clock.now()); }
  void report(double tokens) { book.reported(kNode, tokens, 100, clock.now()); }
  /// At 100 us a token.
  double queued(std::int32_t priority = 0) const {
    return book.queued(kNode, {priority, 0, 0}, 100, clock.now());
  }
  double queued_for(std::uint64_t tenant, double tokens) const {
    return book.queued(kNode, {0, tenant, tokens}, 100, clock.now());
  }
  ManualClock clock;
  PlacementBook book;
};

TEST(PlacementBook, CountsWhatWasPlacedUntilItsFirstToken) {
  Rig r;
  EXPECT_EQ(r.queued(), 0);
  r.place(1, 1000);
  r.place(2, 500);
  EXPECT_EQ(r.queued(), 1500);
  EXPECT_EQ(r.book.waiting(kNode), 2u);
  r.done(1);
  EXPECT_EQ(r.queued(), 500);
  r.done(1);
  r.done(2);
  EXPECT_EQ(r.queued(), 0);
}

TEST(PlacementBook, TheFirstOnePassesWithTimeAndNoMoreThanThat) {
  Rig r;
  r.place(1, 1000);
  r.place(2, 500);
  r.clock.advance(40ms);
  EXPECT_EQ(r.queued(), 1100);
  r.clock.advance(10s);
  EXPECT_EQ(r.queued(), 500) << "the second has not begun as far as anybody said";
  r.done(1);
  r.clock.advance(20ms);
  EXPECT_EQ(r.queued(), 300);
}

TEST(PlacementBook, AHigherPriorityWaitsForItsOwnKindOnly) {
  Rig r;
  r.place(1, 1000, 0, 0);
  r.place(2, 300, 0, 5);
  EXPECT_EQ(r.queued(0), 1300);
  EXPECT_EQ(r.queued(5), 300);
  EXPECT_EQ(r.queued(6), 0);
}

TEST(PlacementBook, AHeartbeatThatKnowsOfLessTakesTheOldestOut) {
  Rig r;
  r.place(1, 1000);
  r.place(2, 500);
  r.clock.advance(300ms);
  r.place(3, 200);
  r.report(600);
  EXPECT_EQ(r.book.waiting(kNode), 3u) << "the first may be nearly through";
  r.report(500);  // the word of 1 was lost
  EXPECT_EQ(r.book.waiting(kNode), 2u);
  r.report(0);
  EXPECT_EQ(r.book.waiting(kNode), 1u) << "3 may still be on its way";
  r.clock.advance(300ms);
  r.report(0);
  EXPECT_EQ(r.queued(), 0);
}

TEST(PlacementBook, WhatOtherRoutersPlacedIsInHeartbeatsAndDrains) {
  Rig r;
  r.report(2000);
  EXPECT_EQ(r.queued(), 2000);
  r.clock.advance(100ms);
  EXPECT_EQ(r.queued(), 1000);
  r.clock.advance(1s);
  EXPECT_EQ(r.queued(), 0);
  r.place(1, 100, 3000);  // most of it is cached, which the worker sees when its turn comes
  r.clock.advance(300ms);
  r.report(3000);
  EXPECT_EQ(r.queued(), 0) << "the report is all its own, and 100 tokens took 10 ms";
}

TEST(PlacementBook, WhatIsComputedOfTheFirstPromptHidesNoneOfTheOthers) {
  Rig r;
  r.place(1, 10000);
  r.clock.advance(500ms);  // half of it is computed
  r.report(8000);
  EXPECT_EQ(r.queued(), 8000) << "5,000 of its own and 3,000 of another router's";
}

TEST(PlacementBook, OfAnotherTenantsQueueAsMuchCountsAsOnesOwn) {
  Rig r;
  for (std::uint64_t i = 1; i <= 10; ++i) r.place(i, 1000, 0, 0, 7);
  EXPECT_EQ(r.queued_for(7, 500), 10000) << "its own tenant waits for all of it";
  EXPECT_EQ(r.queued_for(8, 500), 500);
  r.place(11, 300, 0, 0, 8);
  EXPECT_EQ(r.queued_for(8, 500), 300 + 800);
  EXPECT_EQ(r.queued_for(7, 500), 10300);
  EXPECT_EQ(r.queued_for(9, 200), 200 + 200);
  EXPECT_EQ(r.queued_for(9, 50000), 10300) << "no more than there is";
}

TEST(PlacementBook, WhatOtherRoutersPlacedIsThoughtToBeLikeOnesOwn) {
  Rig r;
  r.place(1, 1000, 0, 0, 7);
  r.place(2, 1000, 0, 0, 7);
  r.clock.advance(300ms);
  r.report(4000);
  EXPECT_EQ(r.queued_for(7, 500), 3000) << "the second, and as much from elsewhere as was reported";
  EXPECT_EQ(r.queued_for(8, 500), 500);
  r.done(1);
  r.done(2);
  EXPECT_EQ(r.queued_for(8, 500), r.queued_for(7, 500)) << "nothing is known of them";
}

TEST(PlacementBook, TokensPlacedSinceTheLastWordAreUnseen) {
  Rig r;
  r.place(1, 700);
  EXPECT_EQ(r.book.unseen(kNode), 700);
  r.clock.advance(1ms);
  r.report(700);
  EXPECT_EQ(r.book.unseen(kNode), 0);
  r.place(2, 50);
  EXPECT_EQ(r.book.unseen(kNode), 50);
  r.book.forget(kNode);
  EXPECT_EQ(r.book.unseen(kNode) + r.queued(), 0);
}

}  // namespace
}  // namespace troupe::router
