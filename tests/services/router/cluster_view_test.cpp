#include "services/router/cluster_view.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

wire::Join join(std::uint64_t id, const std::string& name, wire::Role role = wire::Role::decode) {
  wire::Join out;
  out.node = {id, id};
  out.role = role;
  out.name = name;
  out.control_address = std::string("tcp://").append(name).append(":").append(std::to_string(id));
  out.models = {{"m", ModelId{5, 5}, 100, 1, 1, "n"}};
  return out;
}

struct View {
  ManualClock clock;
  ClusterView view{2s, 10s, 4};
  std::vector<NodeId> hung;
};

TEST(ClusterView, ASilentNodeLeavesAndABeatingOneStays) {
  View v;
  ASSERT_TRUE(v.view.join(join(1, "a"), v.clock.now()).has_value());
  ASSERT_TRUE(v.view.join(join(2, "b"), v.clock.now()).has_value());
  v.clock.advance(1900ms);
  EXPECT_TRUE(v.view.beat({NodeId{2, 2}, 0, false, false, {}}, v.clock.now()));
  v.clock.advance(100ms);
  const auto gone = v.view.expire(v.clock.now(), v.hung);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].node.identity.name, "a");
  EXPECT_FALSE(v.view.beat({NodeId{1, 1}, 0, false, false, {}}, v.clock.now())) << "it has to join again";
}

TEST(ClusterView, TimeThisProcessStoodStillCountsForNobody) {
  View v;
  ASSERT_TRUE(v.view.join(join(1, "a"), v.clock.now()).has_value());
  ASSERT_TRUE(v.view.expire(v.clock.now(), v.hung).empty());
  v.clock.advance(30s);  // stopped: what was sent meanwhile is not read yet
  EXPECT_TRUE(v.view.expire(v.clock.now(), v.hung).empty());
  v.clock.advance(1s);
  EXPECT_TRUE(v.view.expire(v.clock.now(), v.hung).empty());
  v.clock.advance(1s);
  EXPECT_EQ(v.view.expire(v.clock.now(), v.hung).size(), 1u) << "silent while it was listened to";
}

TEST(ClusterView, ARestartedNameReplacesItsOldNodeAndTheOldOneStaysOut) {
  View v;
  ASSERT_TRUE(v.view.join(join(1, "a"), v.clock.now()).has_value());
  const auto replaced = v.view.join(join(2, "a"), v.clock.now());
  ASSERT_TRUE(replaced.has_value());
  ASSERT_EQ(replaced->size(), 1u);
  EXPECT_EQ((*replaced)[0].node.identity.node, (NodeId{1, 1}));
  const auto again = v.view.join(join(1, "a"), v.clock.now());
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::invalid_argument);
}

TEST(ClusterView, BusyWithoutProgressIsAHangUntilItMoves) {
  View v;
  ASSERT_TRUE(v.view.join(join(1, "a"), v.clock.now()).has_value());
  const auto beat = [&](std::uint64_t progress, bool busy) {
    ASSERT_TRUE(v.view.beat({NodeId{1, 1}, progress, busy, false, {}}, v.clock.now()));
    ASSERT_TRUE(v.view.expire(v.clock.now(), v.hung).empty());
  };
  for (int i = 0; i < 30; ++i) {  // idle for long: no hang
    beat(7, false);
    v.clock.advance(1s);
  }
  EXPECT_TRUE(v.hung.empty());
  for (int i = 0; i < 9; ++i) {
    beat(7, true);
    v.clock.advance(1s);
  }
  beat(8, true);  // a long step that moves
  EXPECT_TRUE(v.hung.empty());
  for (int i = 0; i < 12; ++i) {
    v.clock.advance(1s);
    beat(8, true);
  }
  ASSERT_EQ(v.hung.size(), 1u) << "reported once";
  EXPECT_TRUE(v.view.ready(wire::Role::decode, ModelId{5, 5}).empty());
  beat(9, true);
  EXPECT_EQ(v.view.ready(wire::Role::decode, ModelId{5, 5}).size(), 1u);
}

TEST(ClusterView, OnlyReadyDecodersMakeAModelReady) {
  View v;
  ASSERT_TRUE(v.view.join(join(1, "a"), v.clock.now()).has_value());
  ASSERT_TRUE(v.view.join(join(2, "b", wire::Role::prefill), v.clock.now()).has_value());
  ASSERT_TRUE(v.view.join(join(3, "c"), v.clock.now()).has_value());
  ASSERT_EQ(v.view.models().rows.size(), 1u);
  EXPECT_EQ(v.view.models().rows[0].ready_workers, 2u);
  EXPECT_TRUE(v.view.beat({NodeId{3, 3}, 0, false, true, {}}, v.clock.now()));
  EXPECT_EQ(v.view.models().rows[0].ready_workers, 1u) << "a draining one is not";
}

TEST(ClusterView, HasABound) {
  View v;
  const std::string names[] = {"n0", "n1", "n2", "n3"};
  for (std::uint64_t i = 0; i < 4; ++i)
    ASSERT_TRUE(v.view.join(join(i, names[i]), v.clock.now()).has_value());
  const auto full = v.view.join(join(9, "n9"), v.clock.now());
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, Errc::queue_full);
}

}  // namespace
}  // namespace troupe::router
