#include "services/router/prefix_view.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;
using Keys = std::vector<BlockKey>;

const NodeId kA{1, 1}, kB{2, 2};
const ModelId kModel{5, 5}, kOther{6, 6};
const TimePoint kStart{1h};

Keys keys(std::uint64_t first, std::uint64_t end) {
  Keys out;
  for (std::uint64_t i = first; i < end; ++i) out.push_back({i, i});
  return out;
}
wire::KvUpdate snapshot(const NodeId& node, std::uint64_t sequence, Keys stored) {
  return {node, kModel, sequence, true, std::move(stored), {}};
}
Cached cached(PrefixView& view, const NodeId& node, const Keys& blocks, const ModelId& model = kModel) {
  return view.cached(model, std::vector{node}, blocks)[0];
}

TEST(PrefixView, AWorkerThatTellsIsExactAndOneThatDoesNotIsPredicted) {
  PrefixView view({});
  EXPECT_EQ(view.kind(), "empty");
  EXPECT_FALSE(view.update(snapshot(kA, 1, keys(0, 4)), kStart));
  EXPECT_EQ(view.kind(), "exact");
  view.placed(kA, kModel, keys(0, 9), kStart);
  EXPECT_EQ(cached(view, kA, keys(0, 9)).blocks, 4u) << "a placement says nothing a worker would not";
  view.placed(kB, kModel, keys(0, 9), kStart);
  EXPECT_EQ(view.kind(), "mixed");
  EXPECT_EQ(cached(view, kB, keys(0, 9)).blocks, 9u);
  EXPECT_TRUE(cached(view, kB, keys(0, 9)).predicted);
  EXPECT_FALSE(cached(view, kA, keys(0, 9)).predicted);
  EXPECT_EQ(cached(view, kB, keys(0, 9), kOther).blocks, 0u);
  view.forget(kA);
  EXPECT_EQ(view.kind(), "predicted");
}

TEST(PrefixView, KnowsWhatAWorkerHoldsOnDiskOnly) {
  PrefixView view({});
  wire::KvUpdate update = snapshot(kA, 1, keys(0, 2));
  update.stored_on_disk = keys(0, 6);
  EXPECT_FALSE(view.update(update, kStart));
  EXPECT_EQ(cached(view, kA, keys(0, 9)).blocks, 6u);
  EXPECT_EQ(cached(view, kA, keys(0, 9)).in_memory, 2u);
  wire::KvUpdate later{kA, kModel, 2, false, keys(2, 4), keys(0, 2)};
  later.removed_from_disk = keys(4, 6);
  EXPECT_FALSE(view.update(later, kStart));
  EXPECT_EQ(cached(view, kA, keys(0, 9)).blocks, 4u);
  EXPECT_EQ(cached(view, kA, keys(0, 9)).in_memory, 0u) << "the first block is on disk only";
}

TEST(PrefixView, PredictionsEndWithTimeAndWithTheWorkersFirstWord) {
  PrefixView view({.prediction_life = 60s});
  view.placed(kA, kModel, keys(0, 4), kStart);
  view.placed(kA, kModel, keys(10, 14), kStart + 50s);
  view.tick(kStart + 61s);
  EXPECT_EQ(cached(view, kA, keys(0, 4)).blocks, 0u);
  EXPECT_EQ(cached(view, kA, keys(10, 14)).blocks, 4u);
  EXPECT_FALSE(view.update(snapshot(kA, 1, keys(10, 12)), kStart + 62s));
  EXPECT_EQ(cached(view, kA, keys(10, 14)).blocks, 2u);
  EXPECT_FALSE(cached(view, kA, keys(10, 14)).predicted);
}

TEST(PrefixView, AWorkerThatHoldsLessContradictsOldPredictions) {
  PrefixView view({});
  view.placed(kA, kModel, keys(0, 8), kStart);
  view.holds_at_most(kA, kModel, 0, kStart + 1s);
  EXPECT_EQ(cached(view, kA, keys(0, 8)).blocks, 8u) << "it may not have begun";
  view.holds_at_most(kA, kModel, 5, kStart + 31s);
  EXPECT_EQ(cached(view, kA, keys(0, 8)).blocks, 5u);
  view.holds_at_most(kA, kModel, 0, kStart + 31s);
  EXPECT_EQ(cached(view, kA, keys(0, 8)).blocks, 0u);
}

TEST(PrefixView, PredictionsOfAWorkerAreBounded) {
  PrefixView view({.max_predicted_blocks = 10});
  for (std::uint64_t i = 0; i < 20; ++i) view.placed(kA, kModel, keys(i * 5, i * 5 + 5), kStart);
  EXPECT_EQ(view.index().size(), 10u);
  EXPECT_EQ(cached(view, kA, keys(95, 100)).blocks, 5u);
}

TEST(PrefixView, AGapAsksOnceInAWhileAndASnapshotRepairs) {
  PrefixView view({.ask_again = 500ms});
  EXPECT_FALSE(view.update(snapshot(kA, 1, keys(0, 4)), kStart));
  EXPECT_TRUE(view.update({kA, kModel, 3, false, keys(4, 5), {}}, kStart));
  EXPECT_FALSE(view.update({kA, kModel, 4, false, keys(5, 6), {}}, kStart + 100ms));
  EXPECT_TRUE(view.update({kA, kModel, 5, false, keys(6, 7), {}}, kStart + 600ms));
  EXPECT_EQ(view.gaps(), 3u);
  EXPECT_FALSE(view.update(snapshot(kA, 6, keys(2, 6)), kStart + 700ms));
  EXPECT_EQ(cached(view, kA, keys(2, 9)).blocks, 4u);
  EXPECT_EQ(cached(view, kA, keys(0, 4)).blocks, 0u);
  view.rejoined(kA);
  EXPECT_TRUE(view.update({kA, kModel, 7, false, keys(6, 7), {}}, kStart + 2s)) << "it starts with a snapshot";
}

}  // namespace
}  // namespace troupe::router
