#include "services/router/release_gate.hpp"

#include <gtest/gtest.h>

#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

wire::Release of(std::uint16_t revision) {
  return {"0." + std::to_string(revision) + ".0", revision, static_cast<std::uint16_t>(revision - 1)};
}

wire::Join join_of(std::uint64_t id, std::uint16_t revision) {
  wire::Join join;
  join.node = {id, id};
  join.name = "n" + std::to_string(id);
  join.control_address = "tcp://n" + std::to_string(id);
  join.models = {{"m", kModel, 8192, 1, 1, "n"}};
  join.release = of(revision);
  return join;
}

struct Cluster {
  ClusterView view{2s, 30s, 1024};
  ReleaseGate gate{of(5)};
  bool enters(const wire::Join& join) {
    if (!gate.admit(join, view)) return false;
    EXPECT_TRUE(view.join(join, TimePoint{}));
    return true;
  }
};

TEST(ReleaseGate, TakesNeighboursOfTheRouterOnly) {
  for (const auto& [revision, taken] : {std::pair{3, false}, {4, true}, {5, true}, {6, true}, {7, false}}) {
    Cluster cluster;
    EXPECT_EQ(cluster.enters(join_of(1, static_cast<std::uint16_t>(revision))), taken) << revision;
    EXPECT_EQ(cluster.gate.refusals(), taken ? 0u : 1u);
  }
}

TEST(ReleaseGate, TwoNeighboursOfTheRouterThatAreNoneOfEachOtherDoNotMeet) {
  Cluster cluster;
  ASSERT_TRUE(cluster.enters(join_of(1, 4)));
  const auto refused = cluster.gate.admit(join_of(2, 6), cluster.view);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wire_version);
  EXPECT_NE(refused.error().detail.find("n2 and the member n1"), std::string::npos) << refused.error().detail;
  EXPECT_TRUE(cluster.enters(join_of(3, 5)));
  EXPECT_TRUE(cluster.view.leave({1, 1}, "upgraded").has_value());
  EXPECT_TRUE(cluster.enters(join_of(2, 6))) << "the older one is gone";
}

TEST(ReleaseGate, WhoIsReplacedDoesNotCount) {
  Cluster cluster;
  ASSERT_TRUE(cluster.enters(join_of(1, 4)));
  wire::Join same_name = join_of(2, 6);
  same_name.name = "n1";
  EXPECT_TRUE(cluster.gate.admit(same_name, cluster.view)) << "the next release of it";
  wire::Join same_address = join_of(2, 6);
  same_address.control_address = "tcp://n1";
  EXPECT_TRUE(cluster.gate.admit(same_address, cluster.view));
}

TEST(ReleaseGate, EachRefusedNodeIsNewsOnce) {
  Cluster cluster;
  EXPECT_TRUE(cluster.gate.is_news(join_of(1, 9)));
  EXPECT_FALSE(cluster.gate.is_news(join_of(1, 9)));
  for (std::uint64_t id = 2; id < 5000; ++id)
    EXPECT_TRUE(cluster.gate.is_news(join_of(id, 9))) << "what is kept is bounded";
}

TEST(RouterReleases, ARefusedJoinIsAnsweredWithTheRoutersReleaseAndChangesNothing) {
  RouterOptions options;
  options.release = of(5);
  Rig r(options);
  for (int i = 0; i < 3; ++i) {
    testing::internal::CaptureStderr();
    const auto reply = Rig::only<wire::JoinReply>(r.send("tcp://n1", join_of(1, 8)));
    const std::string log = testing::internal::GetCapturedStderr();
    ASSERT_TRUE(reply.refused.has_value());
    EXPECT_EQ(reply.refused->code, Errc::wire_version);
    EXPECT_EQ(reply.release, of(5));
    EXPECT_EQ(log.find("a node is refused for its release") != std::string::npos, i == 0) << log;
  }
  EXPECT_TRUE(r.state->view().nodes().empty());
  EXPECT_EQ(r.state->releases().refusals(), 3u);
  EXPECT_EQ(r.state->counters().joins, 0u);
  EXPECT_EQ(Rig::only<wire::JoinReply>(r.send("tcp://n1", join_of(1, 6))).release, of(5));
  EXPECT_EQ(r.state->view().nodes().size(), 1u);
}

TEST(RouterReleases, AnUnknownNodesHeartbeatIsAnsweredWithTheRelease) {
  Rig r;
  wire::Heartbeat beat;
  beat.node = {7, 7};
  EXPECT_EQ(Rig::only<wire::JoinReply>(r.send("tcp://n7", beat)).release, wire::own_release());
}

}  // namespace
}  // namespace troupe::router
