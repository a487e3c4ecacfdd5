#include "services/router/router_state.hpp"

#include <gtest/gtest.h>

#include "common/kv/block_key.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

const ModelId kModel{5, 5};

/// A router, driven message by message.
struct Rig {
  Rig() {
    RouterOptions options;
    options.node = {99, 99};
    state = std::move(*RouterState::create(options));
  }
  template <class M>
  std::vector<actors::Outgoing> send(const std::string& from, const M& message) {
    actors::Outbox out;
    state->receive(from, wire::pack(message), clock.now(), out);
    return out.take();
  }
  void join(std::uint64_t id, wire::Role role) {
    wire::Join message;
    message.node = {id, id};
    message.role = role;
    message.name = "n" + std::to_string(id);
    message.control_address = "tcp://n" + std::to_string(id);
    message.data_address = "tcp://d" + std::to_string(id);
    if (role != wire::Role::gateway) message.models = {{"m", kModel, 8192, 1, 1, "n"}};
    (void)send(message.control_address, message);
  }
  void beat(std::uint64_t id, std::uint32_t running = 0, std::uint32_t capacity = 8) {
    wire::Heartbeat message;
    message.node = {id, id};
    message.loads = {{kModel, running, 0, 1000, 1000, 0, 0, 0, 0, 0, 0, capacity}};
    (void)send("tcp://n" + std::to_string(id), message);
  }
  std::vector<actors::Outgoing> place(std::uint64_t request, std::uint32_t tokens, std::uint32_t epoch = 1,
                                      std::vector<NodeId> avoid = {}, std::vector<BlockKey> blocks = {}) {
    wire::PlaceRequest message;
    message.request = {request, request};
    message.epoch = {epoch};
    message.model = "m";
    message.tenant = "default";
    message.prompt_tokens = tokens;
    message.blocks = std::move(blocks);
    message.avoid = std::move(avoid);
    message.deadline_ms = 1000;
    return send("tcp://n50", message);
  }
  template <class M>
  static M only(const std::vector<actors::Outgoing>& out) {
    EXPECT_EQ(out.size(), 1u);
    auto message = wire::unpack<M>(out.at(0).message);
    EXPECT_TRUE(message.has_value()) << (message ? "" : to_string(message.error()));
    return message.value_or(M{});
  }
  ManualClock clock;
  std::unique_ptr<RouterState> state;
};

TEST(RouterState, PlacesOnTheLeastLoadedAndCountsWhatItPlaced) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(1, 10)).decode, (NodeId{1, 1}));
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(2, 10)).decode, (NodeId{2, 2}))
      << "the first counts before it beats";
  (void)r.send("tcp://n50", wire::RequestEnded{{1, 1}, {1}});
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(3, 10)).decode, (NodeId{1, 1}));
  EXPECT_EQ(r.state->placements(), 2u);
}

TEST(RouterState, ARepeatedRequestGetsTheSameAnswerAndAnOlderEpochNone) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  const auto first = Rig::only<wire::Placement>(r.place(1, 10));
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(1, 10)).decode, first.decode);
  EXPECT_EQ(r.state->placements(), 1u);
  EXPECT_NE(Rig::only<wire::Placement>(r.place(1, 10, 2, {first.decode})).decode, first.decode);
  EXPECT_TRUE(r.place(1, 10, 1).empty());
  (void)r.send("tcp://n50", wire::RequestEnded{{1, 1}, {1}});
  EXPECT_EQ(r.state->placements(), 1u) << "the end of an older placement ends nothing";
}

TEST(RouterState, NamesAPrefillWorkerForLongUncachedPromptsOnly) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::prefill);
  EXPECT_FALSE(Rig::only<wire::Placement>(r.place(1, 255)).prefill.has_value());
  const auto placed = Rig::only<wire::Placement>(r.place(2, 256));
  EXPECT_EQ(placed.prefill, (NodeId{2, 2}));
  EXPECT_EQ(placed.prefill_address, "tcp://n2");
  EXPECT_EQ(placed.prefill_data_address, "tcp://d2");
  std::vector<BlockKey> blocks;
  for (std::uint64_t i = 0; i < 20; ++i) blocks.push_back({i, 7});
  (void)r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 1, true, blocks, {}});
  const auto cached = Rig::only<wire::Placement>(r.place(3, 400, 1, {}, blocks));
  EXPECT_EQ(cached.cached_tokens, 320u);
  EXPECT_EQ(cached.reason, "prefix");
  EXPECT_FALSE(cached.prefill.has_value());
}

TEST(RouterState, AsksForASnapshotWhenAnUpdateIsMissing) {
  Rig r;
  r.join(1, wire::Role::decode);
  EXPECT_TRUE(r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 1, true, {{1, 1}}, {}}).empty());
  EXPECT_TRUE(r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 2, false, {{2, 2}}, {}}).empty());
  EXPECT_EQ(r.state->prefixes().index().size(), 2u);
  r.clock.advance(1s);
  const auto asked = Rig::only<wire::KvSnapshotRequest>(
      r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 4, false, {{4, 4}}, {}}));
  EXPECT_EQ(asked.node, (NodeId{1, 1}));
  EXPECT_EQ(r.state->prefixes().index().size(), 2u) << "nothing of a gap is taken";
  EXPECT_TRUE(r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 2, false, {{9, 9}}, {}}).empty())
      << "a repeat";
  (void)r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 5, true, {{4, 4}}, {}});
  EXPECT_EQ(r.state->prefixes().index().size(), 1u) << "a snapshot is everything";
}

TEST(RouterState, AWorkerThatTellsNothingIsPredictedFromItsPlacementsAndThePlacementSaysSo) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  std::vector<BlockKey> blocks;
  for (std::uint64_t i = 0; i < 15; ++i) blocks.push_back({i, 7});
  const auto first = Rig::only<wire::Placement>(r.place(1, 240, 1, {}, blocks));
  EXPECT_EQ(first.cached_tokens, 0u);
  EXPECT_EQ(first.reason, "load");
  const auto second = Rig::only<wire::Placement>(r.place(2, 240, 1, {}, blocks));
  EXPECT_EQ(second.decode, first.decode);
  EXPECT_EQ(second.cached_tokens, 240u);
  EXPECT_EQ(second.reason, "predicted prefix");
  EXPECT_EQ(r.state->counters().predicted_tokens, 240u);
  EXPECT_EQ(r.state->counters().placed_by_prefix, 1u);
  EXPECT_EQ(r.state->prefixes().kind(), "predicted");
}

TEST(RouterState, RefusesWithARetryTimeWhenAllAreFull) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.beat(1, 8, 8);
  const auto refused = Rig::only<wire::PlaceRefused>(r.place(1, 10));
  EXPECT_EQ(refused.error.code, Errc::queue_full);
  EXPECT_GT(refused.retry_after_ms, 0u);
  EXPECT_EQ(r.state->placements(), 0u);
}

TEST(RouterState, ALeaseFreesAPlacementWhoseEndNobodyTold) {
  Rig r;
  r.join(1, wire::Role::decode);
  (void)r.place(1, 10);
  for (int i = 0; i < 30; ++i) {
    r.clock.advance(1s);
    r.beat(1);
    actors::Outbox out;
    r.state->tick(r.clock.now(), out);
  }
  EXPECT_EQ(r.state->placements(), 1u);
  r.clock.advance(1s);  // 1 s of deadline and 30 s of lease
  actors::Outbox out;
  r.state->tick(r.clock.now(), out);
  EXPECT_EQ(r.state->placements(), 0u);
  EXPECT_EQ(r.state->counters().leases_expired, 1u);
}

TEST(RouterState, GatewaysHearOfEveryChangeAndOfLostWorkers) {
  Rig r;
  r.join(50, wire::Role::gateway);
  wire::Join worker;
  worker.node = {1, 1};
  worker.name = "n1";
  worker.control_address = "tcp://n1";
  worker.models = {{"m", kModel, 8192, 1, 1, "n"}};
  const auto out = r.send("tcp://n1", worker);
  ASSERT_EQ(out.size(), 3u);  // the reply, and the new tables
  EXPECT_EQ(out[1].to, "tcp://n50");
  EXPECT_EQ(wire::unpack<wire::WorkerTable>(out[1].message)->rows.at(0).control_address, "tcp://n1");
  EXPECT_EQ(out[2].to, "tcp://n50");
  EXPECT_EQ(wire::unpack<wire::ModelTable>(out[2].message)->rows.at(0).ready_workers, 1u);
  EXPECT_EQ(r.send("tcp://n1", worker).size(), 1u) << "nothing changed: only the reply";
  actors::Outbox lost;
  r.state->peer_lost("tcp://n1", r.clock.now(), lost);
  ASSERT_EQ(lost.messages().size(), 3u);
  EXPECT_EQ(wire::unpack<wire::WorkerGone>(lost.messages()[0].message)->node, (NodeId{1, 1}));
  EXPECT_TRUE(wire::unpack<wire::WorkerTable>(lost.messages()[1].message)->rows.empty());
  EXPECT_TRUE(wire::unpack<wire::ModelTable>(lost.messages()[2].message)->rows.empty());
}

TEST(RouterState, AnUnknownNodesHeartbeatIsToldToJoin) {
  Rig r;
  wire::Heartbeat message;
  message.node = {1, 1};
  EXPECT_TRUE(Rig::only<wire::JoinReply>(r.send("tcp://n1", message)).refused.has_value());
}

TEST(RouterState, BytesThatDoNotParseAreCountedAndDropped) {
  Rig r;
  actors::Outbox out;
  r.state->receive("tcp://x", {wire::kJoinNumber, {}, {1, 2, 3}}, r.clock.now(), out);
  r.state->receive("tcp://x", {9999, {}, {}}, r.clock.now(), out);
  EXPECT_TRUE(out.messages().empty());
  EXPECT_EQ(r.state->counters().malformed, 2u);
}

}  // namespace
}  // namespace troupe::router
