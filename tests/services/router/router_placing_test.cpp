#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

TEST(RouterPlacing, AWorkersCostsAreLearntFromFirstTokens) {
  Rig r;
  r.join(1, wire::Role::decode);
  for (std::uint64_t id = 1; id <= 60; ++id) {
    const auto tokens = static_cast<std::uint32_t>(200 + id * 37 % 1500);
    (void)r.place(id, tokens);
    r.clock.advance(1s);
    r.started(id, 40000 + 1000 * std::uint64_t{tokens});
    r.ended(id);
  }
  const TtftCoefficients costs = r.state->costs().costs({1, 1}, kModel, false, r.clock.now());
  EXPECT_NEAR(costs.token, 1000, 100);
  EXPECT_NEAR(costs.base, 40000, 15000);
}

TEST(RouterPlacing, WhatTheWorkerReallyHadIsLearntFrom) {
  Rig r;
  r.join(1, wire::Role::decode);
  for (std::uint64_t id = 1; id <= 60; ++id) {
    const auto cached = static_cast<std::uint32_t>(id * 37 % 900);
    (void)r.place(id, 1000);  // the router knows of no cache
    r.clock.advance(1s);
    r.started(id, 500 * (1000 - std::uint64_t{cached}), cached);
    r.ended(id);
  }
  EXPECT_NEAR(r.state->costs().costs({1, 1}, kModel, false, r.clock.now()).token, 500, 60);
}

TEST(RouterPlacing, OfTwoWorkersTheOneThatProvedFastGetsMore) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  std::map<NodeId, int> counts;
  for (std::uint64_t id = 1; id <= 200; ++id) {
    const auto placed = Rig::only<wire::Placement>(r.place(id, 1000));
    ++counts[placed.decode];
    r.clock.advance(1s);
    r.started(id, placed.decode == NodeId{1, 1} ? 20000 : 900000);
    r.ended(id);
  }
  EXPECT_GT((counts[{1, 1}]), 150);
}

TEST(RouterPlacing, RepeatedStaleAndUnknownStartsTeachNothing) {
  Rig r;
  r.join(1, wire::Role::decode);
  (void)r.place(1, 1000, 2);
  r.started(1, 5000, 0, 1);
  r.started(9, 5000);
  EXPECT_EQ(r.state->costs().size(), 0u);
  r.started(1, 5000, 0, 2);
  const double token = r.state->costs().costs({1, 1}, kModel, false, r.clock.now()).token;
  r.started(1, 50000000, 0, 2);
  EXPECT_EQ(r.state->costs().costs({1, 1}, kModel, false, r.clock.now()).token, token);
}

TEST(RouterPlacing, PromptsThatWaitAreAheadUntilTheyStart) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  const NodeId first = Rig::only<wire::Placement>(r.place(1, 4000)).decode;
  for (std::uint64_t id = 2; id <= 4; ++id)
    EXPECT_NE(Rig::only<wire::Placement>(r.place(id, 1000)).decode, first) << "4,000 tokens are ahead there";
  r.started(1, 400000);
  const auto after = Rig::only<wire::Placement>(r.place(5, 4000));
  EXPECT_EQ(after.decode, first);
}

TEST(RouterPlacing, AHeartbeatTellsOfTheQueueThatAnotherRouterMade) {
  Rig r;
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  r.beat(1, 0, 8, 50000);
  r.beat(2, 0, 8, 0);
  for (std::uint64_t id = 1; id <= 3; ++id)
    EXPECT_EQ(Rig::only<wire::Placement>(r.place(id, 100)).decode, (NodeId{2, 2}));
}

TEST(RouterPlacing, EveryRefusalSaysWhenTryingAgainMakesSense) {
  RouterOptions options;
  options.node_timeout = 3s;
  Rig none(options);
  EXPECT_EQ(Rig::only<wire::PlaceRefused>(none.place(1, 10)).retry_after_ms, 3000u)
      << "no worker: one may come back";

  Rig r;
  r.join(1, wire::Role::decode);
  r.beat(1);
  for (std::uint64_t id = 1; id <= 20; ++id) {  // an answer takes four seconds here
    (void)r.place(id, 10);
    r.clock.advance(4s);
    r.ended(id);
    r.beat(1);
  }
  for (std::uint64_t id = 101; id <= 108; ++id) (void)Rig::only<wire::Placement>(r.place(id, 10));
  const auto full = Rig::only<wire::PlaceRefused>(r.place(200, 10));
  EXPECT_EQ(full.error.code, Errc::queue_full);
  EXPECT_NEAR(full.retry_after_ms, 500, 10) << "one of eight ends every half second";
  const auto never = Rig::only<wire::PlaceRefused>(r.place(201, 640000));
  EXPECT_EQ(never.error.code, Errc::out_of_pages);
  EXPECT_EQ(never.retry_after_ms, 0u) << "it would never fit";
  r.state->drain();
  EXPECT_EQ(Rig::only<wire::PlaceRefused>(r.place(202, 10)).retry_after_ms, 1000u) << "two heartbeats";
}

TEST(RouterPlacing, TheObjectiveRefusesALateFirstToken) {
  RouterOptions options;
  options.first_token_slo = 200ms;
  Rig r(options);
  r.join(1, wire::Role::decode);
  (void)Rig::only<wire::Placement>(r.place(1, 4000));
  const auto refused = Rig::only<wire::PlaceRefused>(r.place(2, 100));
  EXPECT_EQ(refused.error.code, Errc::queue_full);
  EXPECT_GT(refused.retry_after_ms, 100u);
  r.started(1, 400000);
  (void)Rig::only<wire::Placement>(r.place(3, 100));
}

TEST(RouterPlacing, PolicyAndObjectiveMayChangeWhileItWorksAndPlacementsStay) {
  Rig r;
  r.join(1, wire::Role::decode);
  (void)Rig::only<wire::Placement>(r.place(1, 4000));
  (void)Rig::only<wire::Placement>(r.place(2, 100));
  RouterTuning tuning;
  tuning.first_token_slo = 200ms;
  ASSERT_TRUE(r.state->tune(tuning));
  EXPECT_EQ(Rig::only<wire::PlaceRefused>(r.place(3, 100)).error.code, Errc::queue_full);
  EXPECT_EQ(r.state->placements(), 2u);
  tuning.policy = "least_loaded";
  tuning.min_prompt_tokens = 50;
  ASSERT_TRUE(r.state->tune(tuning));
  (void)Rig::only<wire::Placement>(r.place(4, 100));
  r.join(2, wire::Role::prefill);
  EXPECT_TRUE(Rig::only<wire::Placement>(r.place(5, 60)).prefill.has_value());
  tuning.policy = "nonsense";
  tuning.min_prompt_tokens = 1000;
  ASSERT_FALSE(r.state->tune(tuning));
  EXPECT_TRUE(Rig::only<wire::Placement>(r.place(6, 60)).prefill.has_value())
      << "what is wrong changes nothing";
}

TEST(RouterPlacing, WhatAsksForNoTokensIsComputedByWhoAnswers) {
  RouterOptions options;
  options.min_prompt_tokens = 50;
  Rig r(options);
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::prefill);
  EXPECT_TRUE(Rig::only<wire::Placement>(r.place(1, 1000)).prefill.has_value());
  EXPECT_FALSE(Rig::only<wire::Placement>(r.place(2, 1000, 1, {}, {}, 0)).prefill.has_value());
}

TEST(RouterPlacing, ATenantWhoFloodsIsRefusedAndAnotherIsNot) {
  RouterOptions options;
  options.first_token_slo = 200ms;
  Rig r(options);
  r.join(1, wire::Role::decode);
  const auto refused = [](const std::vector<actors::Outgoing>& out) {
    return wire::unpack<wire::PlaceRefused>(out.at(0).message).has_value();
  };
  std::uint64_t id = 1;
  while (!refused(r.place(id, 100))) ASSERT_LT(++id, 200u);
  EXPECT_GT(id, 3u);
  r.tenant = "light";
  EXPECT_FALSE(refused(r.place(500, 100)));
  r.tenant = "default";
  EXPECT_TRUE(refused(r.place(600, 100)));
}

TEST(RouterPlacing, TheLastPlacementsAreExplained) {
  RouterOptions options;
  options.explained_placements = 2;
  Rig r(options);
  r.join(1, wire::Role::decode);
  r.join(2, wire::Role::decode);
  for (std::uint64_t id = 1; id <= 3; ++id) (void)r.place(id, 1000);
  r.started(3, 123456);
  (void)r.place(4, 640000);
  r.beat(1);
  r.beat(2);
  (void)r.place(5, 640000);
  const auto json = nlohmann::json::parse(to_json(r.state->log().placements())).at("placements");
  ASSERT_EQ(json.size(), 2u);
  EXPECT_NE(json[0].at("refused").get<std::string>().find("out_of_pages"), std::string::npos);
  for (const auto& candidate : json[1].at("decode_candidates"))
    for (const char* term : {"queue", "prefill", "transfer", "decode", "others", "score"})
      EXPECT_TRUE(candidate.at("terms_us").at(term).is_number()) << term;
}

TEST(RouterPlacing, AGoneWorkersBookIsClosed) {
  Rig r;
  r.join(1, wire::Role::decode);
  (void)r.place(1, 4000);
  r.started(1, 1000);
  (void)r.send("tcp://n1", wire::Leave{{1, 1}, "bye"});
  EXPECT_EQ(r.state->costs().size(), 0u);
}

/// Two decode workers; the first holds 1,600 tokens of a prompt and is full.
struct FetchRig : Rig {
  FetchRig() {
    join(1, wire::Role::decode);
    join(2, wire::Role::decode);
    for (std::uint64_t i = 0; i < 100; ++i) blocks.push_back({i, 7});
    (void)send("tcp://n1", wire::KvUpdate{{1, 1}, kModel, 1, true, blocks, {}});
    (void)send("tcp://n2", wire::KvUpdate{{2, 2}, kModel, 1, true, {}, {}});
    beat(1, 8);
  }
  wire::Placement placed(std::uint64_t id) { return only<wire::Placement>(place(id, 1700, 1, {}, blocks)); }
  void moved(std::uint64_t id, std::uint64_t us, std::uint32_t tokens = 1600) {
    (void)send("tcp://n2", wire::PagesMoved{{id, id}, {1}, {2, 2}, kModel, "tcp://n1", tokens, us});
  }
  [[nodiscard]] std::uint32_t sending() const { return state->view().find({1, 1})->sending; }
  std::vector<BlockKey> blocks;
};

TEST(RouterPlacing, WhatFetchesTakeMovesTheChoice) {
  FetchRig r;
  EXPECT_EQ(r.placed(1).fetch_address, "tcp://n1");
  EXPECT_EQ(r.placed(1).fetch_tokens, 1600u);
  for (std::uint64_t id = 2; id <= 12; ++id) r.moved(id, 900000);  // 170 ms would compute them
  const auto computed = r.placed(50);
  EXPECT_EQ(computed.decode, (NodeId{2, 2}));
  EXPECT_EQ(computed.fetch_address, "") << "computing is sooner";
  r.ended(50);
  for (std::uint64_t id = 60; id <= 120; ++id)
    r.moved(id, 4000);  // of others' placements, or of moved streams
  EXPECT_EQ(r.placed(51).fetch_address, "tcp://n1");
}

TEST(RouterPlacing, FetchesUnderWayAreCountedUntilTheyAreOver) {
  FetchRig r;
  (void)r.placed(1);
  (void)r.placed(2);
  (void)r.placed(3);
  EXPECT_EQ(r.sending(), 3u);
  r.moved(1, 5000);
  EXPECT_EQ(r.sending(), 2u);
  r.moved(1, 5000);
  EXPECT_EQ(r.sending(), 2u) << "a repeat";
  r.started(2, 50000, 1600);
  EXPECT_EQ(r.sending(), 1u) << "its word was lost";
  r.ended(3);
  EXPECT_EQ(r.sending(), 0u);
  r.ended(1);
  r.ended(2);
  EXPECT_EQ(r.sending(), 0u);
  EXPECT_EQ(r.state->counters().fetched_tokens, 3200u);
}

TEST(RouterPlacing, AFetchThatCameToNothingTeaches) {
  FetchRig r;
  const double before = r.state->transfers().costs({1, 1}, r.clock.now()).to({2, 2}).us(1e6);
  (void)r.placed(1);
  r.started(1, 5200000, 0);  // its peer was given up, and the prompt computed
  EXPECT_GT(r.state->transfers().costs({1, 1}, r.clock.now()).to({2, 2}).us(1e6), 2 * before);
}

TEST(RouterPlacing, TheExplanationNamesTheSourceAndItsTerm) {
  FetchRig r;
  (void)r.placed(1);
  const auto shown = nlohmann::json::parse(to_json(r.state->log().placements())).at("placements").at(0);
  EXPECT_EQ(shown.at("fetch"), "n1");
  EXPECT_EQ(shown.at("sources").at(0).at("worker"), "n1");
  EXPECT_EQ(shown.at("sources").at(0).at("held_tokens"), 1600);
  for (const auto& candidate : shown.at("decode_candidates")) {
    if (candidate.at("worker") != "n2") continue;
    EXPECT_EQ(candidate.at("fetch_from"), "n1");
    EXPECT_GT(candidate.at("terms_us").at("fetch").get<double>(), 3000);
  }
}

TEST(RouterPlacing, PrefillWorkersOfOtherNumbersAreOfferedOnlyWhereLossyIsAskedFor) {
  for (const bool lossy : {false, true}) {
    RouterOptions options;
    options.convert_lossy = lossy;
    Rig r(options);
    wire::Join join;
    const ModelId other{6, 6}, weights{1, 2};
    join.models = {{"m", kModel, 8192, 1, 1, "n"}};
    join.weights = {weights};
    join.role = wire::Role::decode;
    join.node = {1, 1};
    join.name = join.control_address = join.data_address = "tcp://n1";
    (void)r.send("tcp://n1", join);
    join.models = {{"m", other, 8192, 1, 1, "n8"}};
    join.role = wire::Role::prefill;
    join.node = {2, 2};
    join.name = join.control_address = join.data_address = "tcp://n2";
    (void)r.send("tcp://n2", join);
    join.weights = {ModelId{3, 4}};  // of another model altogether
    join.models = {{"m", {7, 7}, 8192, 1, 1, "n"}};
    join.node = {3, 3};
    join.name = join.control_address = join.data_address = "tcp://n3";
    (void)r.send("tcp://n3", join);
    const auto placed = Rig::only<wire::Placement>(r.place(1, 1000));
    EXPECT_EQ(placed.decode, (NodeId{1, 1}));
    ASSERT_EQ(placed.prefill.has_value(), lossy);
    if (!lossy) continue;
    EXPECT_EQ(*placed.prefill, (NodeId{2, 2}));
    EXPECT_EQ(placed.prefill_model, other);
  }
}

}  // namespace
}  // namespace troupe::router
