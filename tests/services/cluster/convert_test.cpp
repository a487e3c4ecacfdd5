// Workers that hold KV pages differently: they move all the same, exactly where that is possible, lossily
// where that is asked for, and else the prompt is computed.
#include <gtest/gtest.h>

#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

FakeEngineOptions pages_of(std::uint32_t tokens, PageNumbers numbers = PageNumbers::f16,
                           KeyOrder keys = KeyOrder::by_channel) {
  FakeEngineOptions options;
  options.page_tokens = tokens;
  options.numbers = numbers;
  options.keys = keys;
  return options;
}

/// A prefill worker and a decode worker; every long prompt is placed on both.
struct Stage {
  Stage(const FakeEngineOptions& prefill, const FakeEngineOptions& decode, worker::Conversion conversion,
        std::uint64_t seed = 1, SimFaults faults = {})
      : sim(seed, faults) {
    router::RouterOptions options;
    options.policy = "load_and_prefix";
    options.convert_lossy = conversion == worker::Conversion::lossy;
    sim.add_router(options);
    sim.add_gateway();
    sim.add_worker(wire::Role::decode, "decode-0", decode, conversion);
    sim.add_worker(wire::Role::prefill, "prefill-0", prefill, conversion);
    EXPECT_TRUE(sim.ready(1));
    sim.run_for(1s);
  }
  std::shared_ptr<RecordingSink> answer(const gateway::GenerateJob& job) {
    auto sink = sim.start(job);
    EXPECT_TRUE(sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
    return sink;
  }
  FakeEngine& engine(const std::string& name) { return *sim.workers.at(name)->engine; }
  [[nodiscard]] worker::WorkerCounters counters(const std::string& name) const {
    return sim.workers.at(name)->state->counters();
  }
  SimCluster sim;
};

TEST(Convert, PagesOfOtherSizesAndOrdersCrossAndKeepTheirBits) {
  const struct {
    FakeEngineOptions prefill, decode;
  } cases[] = {
      {pages_of(32), pages_of(64)},
      {pages_of(64), pages_of(32)},
      {pages_of(128), pages_of(64)},
      {pages_of(64), pages_of(256)},
      {pages_of(48), pages_of(64, PageNumbers::f16, KeyOrder::by_token)},
      {pages_of(64, PageNumbers::int8, KeyOrder::by_token), pages_of(64, PageNumbers::int8)},
  };
  for (const auto& c : cases) {
    Stage s(c.prefill, c.decode, worker::Conversion::exact);
    const auto job = fake_job(1, 700, 20);
    const auto sink = s.answer(job);
    EXPECT_EQ(s.counters("decode-0").imports, 1u) << c.prefill.page_tokens << " to " << c.decode.page_tokens;
    EXPECT_EQ(s.counters("decode-0").imports_regrouped, 1u);
    EXPECT_EQ(s.counters("decode-0").prefill_fallbacks, 0u);
    // The fake engine compares what came with what it would compute, slot by slot.
    EXPECT_EQ(s.engine("decode-0").imported_tokens, 699 / kBlockTokens * kBlockTokens);
    EXPECT_LE(s.engine("decode-0").computed_tokens, kBlockTokens);
    EXPECT_FALSE(sink->converted);
  }
}

TEST(Convert, APromptIsFetchedFromAPeerOfAnotherPageSize) {
  SimCluster sim(3);
  router::RouterOptions options;
  options.policy = "least_loaded";
  sim.add_router(options);
  sim.add_gateway();
  sim.add_worker(wire::Role::decode, "decode-0", pages_of(128));
  sim.add_worker(wire::Role::decode, "decode-1", pages_of(32));
  ASSERT_TRUE(sim.ready(2));
  const auto job = fake_job(1, 700, 200);
  const auto sink = sim.start(job);
  ASSERT_TRUE(sim.run_until([&] { return sink->answers.contains(0) && sink->answers.at(0).size() >= 50; }));
  const bool first = sim.workers.at("decode-0")->state->active() != 0;
  const std::string from = first ? "decode-0" : "decode-1", to = first ? "decode-1" : "decode-0";
  sim.drain(from);
  ASSERT_TRUE(sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  const auto counters = sim.workers.at(to)->state->counters();
  EXPECT_EQ(counters.fetches, 1u);
  EXPECT_EQ(counters.imports_regrouped, 1u);
  EXPECT_GE(counters.fetched_tokens, 736u);
}

TEST(Convert, OffComputesWhatDoesNotLieAlike) {
  Stage s(pages_of(32), pages_of(64), worker::Conversion::off);
  (void)s.answer(fake_job(1, 700, 20));
  EXPECT_EQ(s.counters("decode-0").imports, 0u);
  EXPECT_EQ(s.counters("decode-0").prefill_fallbacks, 1u);
  EXPECT_EQ(s.engine("decode-0").computed_tokens, 700u);
}

TEST(Convert, OtherNumbersAreComputedAgainUnlessLossyIsAskedFor) {
  Stage s(pages_of(64, PageNumbers::int8), pages_of(64), worker::Conversion::exact);
  const auto sink = s.answer(fake_job(1, 700, 20));
  EXPECT_EQ(s.counters("decode-0").imports, 0u);
  EXPECT_EQ(s.engine("decode-0").computed_tokens, 700u);
  EXPECT_EQ(s.engine("prefill-0").cached_blocks().size(), 0u) << "it was asked for nothing";
  EXPECT_FALSE(sink->converted);
}

TEST(Convert, LossyPagesAreUsedSaidAndNeverFoundAgain) {
  Stage s(pages_of(32, PageNumbers::int8), pages_of(64), worker::Conversion::lossy);
  const auto job = fake_job(1, 700, 20);
  const auto sink = s.answer(job);
  EXPECT_TRUE(sink->converted) << "the answer says so";
  EXPECT_EQ(s.counters("decode-0").imports_lossy, 1u);
  EXPECT_EQ(s.counters("decode-0").imports_regrouped, 0u);
  EXPECT_EQ(s.engine("decode-0").imported_tokens, 688u);
  EXPECT_TRUE(s.engine("decode-0").cached_blocks().empty()) << "no key of exact pages names them";
  s.sim.kill("prefill-0");
  auto again = job;
  again.id = {8, 8};
  const auto exact = s.answer(again);
  EXPECT_FALSE(exact->converted);
  EXPECT_EQ(exact->cached_tokens, 0u);
}

TEST(Convert, AWorkerThatWasNotToldLossyComputesWhatARouterOffersConverted) {
  SimCluster sim(4);
  router::RouterOptions options;
  options.policy = "load_and_prefix";
  options.convert_lossy = true;
  sim.add_router(options);
  sim.add_gateway();
  sim.add_worker(wire::Role::decode, "decode-0", pages_of(64), worker::Conversion::exact);
  sim.add_worker(wire::Role::prefill, "prefill-0", pages_of(64, PageNumbers::int8),
                 worker::Conversion::exact);
  ASSERT_TRUE(sim.ready(1));
  sim.run_for(1s);
  const auto job = fake_job(1, 700, 20);
  const auto sink = sim.start(job);
  ASSERT_TRUE(sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_FALSE(sink->converted);
  EXPECT_EQ(sim.workers.at("decode-0")->state->counters().conversions_refused, 1u);
  EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
}

TEST(Convert, LostDoubledAndLateFramesOfOtherSizesChangeNoAnswer) {
  SimFaults faults;
  faults.lose_frame = 0.05;
  faults.repeat_frame = faults.overtake_frame = 0.2;
  faults.lose = faults.repeat = faults.overtake = 0.02;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const bool lossy = seed % 2 == 0;
    Stage s(pages_of(32, lossy ? PageNumbers::int8 : PageNumbers::f16), pages_of(128),
            lossy ? worker::Conversion::lossy : worker::Conversion::exact, seed, faults);
    for (std::uint64_t i = 0; i < 4; ++i)
      (void)s.answer(fake_job(10 * seed + i, 900 + 64 * static_cast<std::uint32_t>(i), 10));
    EXPECT_GT(s.counters("decode-0").imports, 0u) << seed;
  }
}

}  // namespace
}  // namespace troupe::test
