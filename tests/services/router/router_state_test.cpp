#include "services/router/router_state.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

TEST(RouterState, PlacesOnTheLeastLoadedAndCountsWhatItPlaced) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  const NodeId first = Rig::only<wire::Placement>(r.place(1, 10)).decode;
  EXPECT_NE(Rig::only<wire::Placement>(r.place(2, 10)).decode, first) << "the first counts before it beats";
  (void)r.send("tcp://n50", wire::RequestEnded{{1, 1}, {1}});
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(3, 10)).decode, first);
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

TEST(RouterState, AsksGatewaysAfterPlacementsWhoseEndMayBeLost) {
  Rig r;
  r.join(50, wire::Role::gateway);
  r.join(1, wire::Role::decode);
  (void)r.place(1, 10);
  const auto asked = [&](Duration later) {
    r.clock.advance(later);
    r.beat(1);
    (void)r.send("tcp://n50", wire::Heartbeat{{50, 50}, 0, false, false, {}});
    actors::Outbox out;
    r.state->tick(r.clock.now(), out);
    std::vector<std::pair<RequestId, Epoch>> placements;
    for (const auto& m : out.messages())
      if (const auto check = wire::unpack<wire::PlacementCheck>(m.message)) placements = check->placements;
    return placements;
  };
  EXPECT_TRUE(asked(1s).empty()) << "it is young";
  const std::vector<std::pair<RequestId, Epoch>> one = {{RequestId{1, 1}, Epoch{1}}};
  EXPECT_EQ(asked(2s), one);
  (void)r.send("tcp://n50", wire::RequestEnded{{1, 1}, {1}, wire::Outcome::dropped});
  EXPECT_TRUE(asked(2s).empty());
}

TEST(RouterState, GatewaysHearTheTablesAgainThoughNothingChanged) {
  Rig r;
  r.join(50, wire::Role::gateway);
  r.join(1, wire::Role::decode);
  const auto told = [&](Duration later) {
    r.clock.advance(later);
    actors::Outbox out;
    r.beat(1);
    (void)r.send("tcp://n50", wire::Heartbeat{{50, 50}, 0, false, false, {}});
    r.state->tick(r.clock.now(), out);
    return out.messages().size();
  };
  EXPECT_EQ(told(1s), 2u) << "workers and models, by the first tick";
  EXPECT_EQ(told(1s), 0u);
  EXPECT_EQ(told(1s) + told(1s) + told(1s) + told(1s), 2u);
}

TEST(RouterState, AWorkerThatKeepsFailingGetsNothingForAWhileUnlessItIsTheOnlyOne) {
  RouterOptions options;
  options.policy = "least_loaded";
  Rig r(options);
  r.join(1, wire::Role::decode);
  std::uint64_t request = 0;
  const auto fail_on_first = [&] {  // placed, and the gateway comes again since the worker failed it
    (void)r.place(++request, 10, 1);
    (void)r.place(request, 10, 2, {{1, 1}});
  };
  for (int i = 0; i < 5; ++i) fail_on_first();
  EXPECT_EQ(r.state->breakers().open(), 1u);
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(++request, 10)).decode, (NodeId{1, 1})) << "there is no other";
  r.join(2, wire::Role::decode);
  r.beat(1, 0, 100);
  r.beat(2, 30, 100);  // busier than the first
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(++request, 10)).decode, (NodeId{2, 2}));
  r.clock.advance(2s);
  (void)r.send("tcp://n50", wire::RequestEnded{{request, request}, {1}, wire::Outcome::dropped});
  const auto trial = Rig::only<wire::Placement>(r.place(++request, 10));
  EXPECT_EQ(trial.decode, (NodeId{1, 1}));
  (void)r.send("tcp://n50", wire::RequestEnded{{request, request}, {1}});
  EXPECT_EQ(r.state->breakers().open(), 0u);
}

TEST(RouterState, ALostWorkerDiedWhenItDoesNotComeBack) {
  for (const bool back : {false, true}) {
    Rig r;
    r.join(50, wire::Role::gateway);
    r.join(1, wire::Role::decode);
    actors::Outbox lost, later;
    r.state->peer_lost("tcp://n1", r.clock.now(), lost);
    EXPECT_FALSE(wire::unpack<wire::WorkerGone>(lost.messages().at(0).message)->died) << "a connection is no process";
    r.clock.advance(400ms);
    if (back) r.join(1, wire::Role::decode);
    r.clock.advance(100ms);
    r.state->tick(r.clock.now(), later);
    const auto& told = later.messages();
    const auto gone = std::ranges::find(told, wire::kWorkerGoneNumber, [](const auto& m) { return m.message.type; });
    ASSERT_EQ(gone == told.end(), back);
    if (back) continue;
    const auto verdict = wire::unpack<wire::WorkerGone>(gone->message);
    ASSERT_TRUE(verdict.has_value());
    EXPECT_EQ(verdict->node, (NodeId{1, 1}));
    EXPECT_TRUE(verdict->died);
  }
}

TEST(RouterState, NamesAWorkerToFetchFromWhereItHoldsEnoughMoreThanTheChosenOne) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  r.join(3, wire::Role::prefill);
  std::vector<BlockKey> blocks;
  for (std::uint64_t i = 0; i < 64; ++i) blocks.push_back({i, 7});
  (void)r.send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 1, true, {blocks.begin(), blocks.begin() + 50}, {}});
  for (const std::uint64_t id : {2U, 3U})  // they hold nothing, and say so
    (void)r.send("tcp://n" + std::to_string(id), wire::KvUpdate{{id, id}, kModel, 1, true, {}, {}});
  const auto near = Rig::only<wire::Placement>(r.place(1, 1024, 1, {}, blocks));
  EXPECT_EQ(near.decode, (NodeId{1, 1}));
  EXPECT_EQ(near.fetch_address, "") << "it holds most itself";
  r.beat(1, 8);  // full
  const auto far = Rig::only<wire::Placement>(r.place(2, 1024, 1, {}, blocks));
  EXPECT_EQ(far.decode, (NodeId{2, 2}));
  EXPECT_EQ(far.fetch_address, "tcp://n1");
  EXPECT_EQ(far.fetch_tokens, 800u);
  EXPECT_FALSE(far.prefill.has_value()) << "what is left is computed where it is decoded";
  EXPECT_EQ(r.state->counters().placed_with_fetch, 1u);
  const auto avoided = Rig::only<wire::Placement>(r.place(3, 1024, 1, {{1, 1}}, blocks));
  EXPECT_EQ(avoided.fetch_address, "") << "a worker that failed this request is asked for nothing";
  EXPECT_TRUE(avoided.prefill.has_value());
  // Computing what is left here is still sooner than computing all at the prefill worker. Too few are not worth asking for.
  std::vector<BlockKey> longer = blocks;
  for (std::uint64_t i = 64; i < 96; ++i) longer.push_back({i, 7});
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(4, 1536, 1, {}, longer)).fetch_address, "tcp://n1");
  EXPECT_EQ(Rig::only<wire::Placement>(r.place(5, 250, 1, {}, {blocks.begin(), blocks.begin() + 15})).fetch_address, "");
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

TEST(RouterState, ComparesTwoRolesWithHybridsFromWhatItPlaced) {
  Rig r;
  for (std::uint64_t id = 1; id <= 4; ++id) r.join(id, wire::Role::decode);
  const auto tick = [&] {
    for (std::uint64_t id = 1; id <= 4; ++id) r.beat(id);
    actors::Outbox out;
    r.state->tick(r.clock.now(), out);
  };
  tick();
  EXPECT_FALSE(r.state->planner().view().comparison.has_value()) << "nothing was seen";
  for (std::uint64_t i = 1; i <= 100; ++i) {
    r.clock.advance(100ms);
    const bool is_long = i % 10 == 0;
    (void)r.place(i, is_long ? 4000 : 100);
    r.started(i, is_long ? 400000 : 20000);
    r.ended(i);
    tick();
  }
  const Planner::View& view = r.state->planner().view();
  ASSERT_TRUE(view.comparison.has_value());
  EXPECT_EQ(view.workers, 4u);
  EXPECT_NEAR(view.traffic.long_tokens, 4000, 1e-6);
  EXPECT_NEAR(view.traffic.short_prompts, 9, 0.5);
  EXPECT_NEAR(view.traffic.long_prompts, 1, 0.2);
  EXPECT_GT(view.costs.token, 50) << "learnt of prompts at 100 us a token";
  EXPECT_LT(view.costs.token, 150);
  EXPECT_EQ(r.state->counters().role_changes, 0u) << "it was not asked to plan";
}

}  // namespace
}  // namespace troupe::router
