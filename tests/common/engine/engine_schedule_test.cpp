// Who goes first, who gives way, and that everybody ends: never what a stream says.
#include <algorithm>

#include "common/kv/page_pool.hpp"
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

void expect_no_page_held(const Engine& engine) {
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  EXPECT_EQ(stats.running + stats.waiting + stats.pages_reserved, 0u);
}

std::uint64_t bytes_of_pages(std::uint32_t pages) {
  static const auto engine = make_engine({});
  return std::uint64_t{pages} * engine->layer_page_bytes() * engine->layers();
}

Request plain_request(std::uint64_t id, std::size_t prompt, std::uint32_t answer, std::int32_t priority = 0) {
  Request request;
  request.id = {1, id};
  for (std::size_t i = 0; i < prompt; ++i) request.prompt.push_back(static_cast<TokenId>((id * 31 + i * 7) % 200));
  request.max_tokens = answer;
  request.sampling.temperature = 0;
  request.priority = priority;
  return request;
}

/// Requests in the order of their first tokens.
std::vector<std::uint64_t> first_token_order(Engine& engine) {
  std::vector<std::uint64_t> order;
  for (int i = 0; engine.has_work() && i < 10000; ++i)
    for (const TokenEvent& event : engine.step().tokens)
      if (event.first_index == 0) order.push_back(event.id.low);
  return order;
}

EngineSetup one_at_a_time() {
  EngineSetup setup;
  setup.options.max_sequences = 1;
  return setup;
}

TEST(EngineSchedule, AHigherPriorityIsAdmittedFirst) {
  auto engine = make_engine(one_at_a_time());
  for (const auto& [id, priority] : {std::pair{1, 0}, {2, 0}, {3, 5}, {4, -1}, {5, 5}})
    ASSERT_TRUE(engine->submit(plain_request(static_cast<std::uint64_t>(id), 20, 2, priority)).has_value());
  EXPECT_EQ(first_token_order(*engine), (std::vector<std::uint64_t>{3, 5, 1, 2, 4}));
}

TEST(EngineSchedule, PromptTokensThatWaitAreCounted) {
  EngineSetup setup;
  setup.options.chunk = setup.options.token_budget = 64;
  auto engine = make_engine(setup);
  for (const std::uint64_t id : {1, 2}) ASSERT_TRUE(engine->submit(plain_request(id, 100, 5)).has_value());
  EXPECT_EQ(engine->stats().queued_prompt_tokens, 200u);
  (void)engine->step();
  EXPECT_EQ(engine->stats().queued_prompt_tokens, 200u - 64u);
  while (engine->stats().queued_prompt_tokens != 0) (void)engine->step();
  EXPECT_EQ(engine->stats().prompt_tokens, 200u);
  EXPECT_TRUE(engine->has_work()) << "answers are no prompts";
}

TEST(EngineSchedule, AHigherPriorityTakesThePlaceOfARunningOne) {
  auto engine = make_engine(one_at_a_time());
  const Request low = plain_request(1, 20, 30), high = plain_request(2, 20, 3, 1);
  Answers alone = run_alone(*make_engine({}), {low, high}), answers;
  ASSERT_TRUE(engine->submit(low).has_value());
  for (int i = 0; i < 5; ++i) collect(engine->step(), answers);
  ASSERT_TRUE(engine->submit(high).has_value());
  for (int i = 0; i < 3; ++i) collect(engine->step(), answers);
  EXPECT_EQ((answers.at({high.id, 0}).finish), FinishReason::length);
  EXPECT_EQ((answers.at({low.id, 0}).finish), FinishReason::none);
  EXPECT_EQ(engine->stats().preemptions, 1u);
  run(*engine, answers);
  EXPECT_EQ(answers, alone);
}

TEST(EngineSchedule, NobodyWaitsForeverBehindHigherPriorities) {
  EngineSetup setup = one_at_a_time();
  setup.options.most_overtakes = 5;
  auto engine = make_engine(setup);
  std::uint64_t next = 100;
  ASSERT_TRUE(engine->submit(plain_request(1, 20, 2, -3)).has_value());
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 60 && order.size() < 12; ++i) {  // there is always another of higher priority
    while (engine->stats().waiting < 3) ASSERT_TRUE(engine->submit(plain_request(next++, 20, 2, 3)).has_value());
    for (const TokenEvent& event : engine->step().tokens)
      if (event.first_index == 0) order.push_back(event.id.low);
  }
  const auto at = std::find(order.begin(), order.end(), 1u);
  ASSERT_NE(at, order.end());
  EXPECT_EQ(at - order.begin(), 5);
}

TEST(EngineSchedule, TenantsShareWhatOneAloneWouldFlood) {
  EngineSetup setup = one_at_a_time();
  setup.options.tenant_weights = {{"heavy", 1.0}, {"double", 2.0}};
  auto engine = make_engine(setup);
  std::map<std::uint64_t, std::string> tenants;
  std::uint64_t id = 0;
  for (const char* tenant : {"heavy", "light", "double"}) {
    for (int i = 0; i < (tenant == std::string("heavy") ? 40 : 20); ++i) {
      Request request = plain_request(++id, 40, 4);
      request.tenant = tenant;
      tenants[id] = tenant;
      ASSERT_TRUE(engine->submit(request).has_value());
    }
  }
  const auto order = first_token_order(*engine);
  ASSERT_EQ(order.size(), 80u);
  std::map<std::string, int> among;
  for (std::size_t i = 0; i < 32; ++i) among[tenants.at(order[i])] += 1;
  EXPECT_NEAR(among["heavy"], 8, 1);
  EXPECT_NEAR(among["light"], 8, 1);
  EXPECT_NEAR(among["double"], 16, 2);
}

TEST(EngineSchedule, ANewTenantsPromptSharesTheRowsOfARunningOnes) {
  EngineSetup setup;
  setup.options.token_budget = setup.options.chunk = 16;
  auto engine = make_engine(setup);
  for (std::uint64_t id = 1; id <= 6; ++id) ASSERT_TRUE(engine->submit(plain_request(id, 160, 2)).has_value());
  for (int i = 0; i < 12; ++i) (void)engine->step();
  Request late = plain_request(9, 48, 2);
  late.tenant = "late";
  ASSERT_TRUE(engine->submit(late).has_value());
  int steps = 0;
  for (bool done = false; !done; ++steps)
    for (const TokenEvent& event : engine->step().tokens) done = done || event.id == late.id;
  EXPECT_LE(steps, 9) << "48 rows, every other step's";
}

struct Pressed {
  Answers answers;
  std::uint64_t rows = 0;
  EngineStats stats;
};

/// Twenty streams that each grow into further pages, in a pool of eight.
Pressed run_pressed(PreemptionPolicy policy, std::uint64_t swap_bytes, bool prefix_cache) {
  EngineSetup setup;
  setup.options.kv_bytes = bytes_of_pages(8);
  setup.options.prefix_cache = prefix_cache;
  setup.options.preemption = policy;
  setup.options.swap_bytes = swap_bytes;
  auto engine = make_engine(setup);
  for (std::uint64_t id = 1; id <= 20; ++id) EXPECT_TRUE(engine->submit(plain_request(id, 20 + id * 5, 90)).has_value());
  Pressed result;
  std::uint64_t most_swapped = 0;
  while (engine->has_work()) {
    const StepOutput out = engine->step();
    collect(out, result.answers);
    result.rows += out.rows;
    most_swapped = std::max(most_swapped, engine->stats().swapped_bytes);
  }
  expect_no_page_held(*engine);
  EXPECT_LE(most_swapped, swap_bytes);
  result.stats = engine->stats();
  EXPECT_EQ(result.stats.swapped_bytes, 0u);
  return result;
}

TEST(EngineSchedule, ASwappedStreamGoesOnWithoutComputingAnythingTwice) {
  const Pressed dropped = run_pressed(PreemptionPolicy::recompute, 64u << 20, false);
  const Pressed swapped = run_pressed(PreemptionPolicy::swap, 64u << 20, false);
  EXPECT_GT(dropped.stats.preemptions, 0u);
  EXPECT_EQ(dropped.stats.swaps, 0u);
  EXPECT_GT(swapped.stats.swaps, 0u);
  EXPECT_EQ(swapped.stats.swaps, swapped.stats.preemptions);
  EXPECT_EQ(swapped.answers, dropped.answers);
  std::uint64_t once = 0;
  for (std::uint64_t id = 1; id <= 20; ++id) once += 20 + id * 5 + 90 - 1;  // the last token drawn is not computed
  EXPECT_EQ(swapped.rows, once);
  EXPECT_GT(dropped.rows, once);
}

TEST(EngineSchedule, SwapsAsFarAsHostMemoryGoes) {
  const Pressed free = run_pressed(PreemptionPolicy::recompute, 0, true);
  for (const std::uint32_t pages : {0u, 2u}) {
    const Pressed bounded = run_pressed(PreemptionPolicy::swap, bytes_of_pages(pages), true);
    EXPECT_EQ(bounded.answers, free.answers) << pages;
    EXPECT_GT(bounded.stats.preemptions, bounded.stats.swaps) << pages;
    EXPECT_EQ(bounded.stats.swaps > 0, pages > 0) << pages;
  }
}

/// Loads of random priorities, tenants, lengths and arrivals in a pool that holds few of them at once: everybody ends, and with
/// the answer it has alone. Every request fits alone, so none may fail.
class UnderPagePressure : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::mt19937_64 random(static_cast<std::uint64_t>(GetParam()));
    const auto below = [&](std::uint64_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    pages = 3 + below(8);
    const std::uint32_t longest = std::min(pages * kPageTokens, 400u) - 1;
    setup.options.kv_bytes = bytes_of_pages(pages);
    setup.options.prefix_cache = below(2) == 0;
    setup.options.max_sequences = 1 + below(20);
    setup.options.token_budget = 1 + below(100);
    setup.options.chunk = 1 + below(100);
    setup.options.most_overtakes = below(30);
    setup.options.preemption = static_cast<PreemptionPolicy>(below(3));
    setup.options.swap_bytes = bytes_of_pages(below(10));
    if (below(4) == 0) setup.options.schedule = SchedulePolicy::prefill_first;
    if (below(3) == 0) setup.options.itl_slo = std::chrono::microseconds(below(3000));
    for (std::uint64_t id = 1; id <= 30; ++id) {
      const std::uint32_t prompt = 1 + below(longest);
      Request request = plain_request(below(3) == 0 ? 1 : id, prompt, 1 + below(longest - prompt + 1), static_cast<std::int32_t>(below(4)));
      request.id = {1, id};
      request.sampling.temperature = 1;
      request.sampling.seed = id;
      request.tenant = std::string(1, static_cast<char>('a' + below(3)));
      request.choices = below(5) == 0 ? 1 + below(3) : 1;
      requests.push_back(request);
      arrival_step.push_back(below(200));
    }
  }
  EngineSetup setup;
  std::uint32_t pages = 0;
  std::vector<Request> requests;
  std::vector<std::uint32_t> arrival_step;
};

TEST_P(UnderPagePressure, EverybodyEndsWithTheAnswerItHasAlone) {
  const Answers alone = run_alone(*make_engine({}), requests);
  auto engine = make_engine(setup);
  Answers answers;
  std::uint32_t step = 0;
  for (; step < 200 || engine->has_work(); ++step) {
    for (std::size_t i = 0; i < requests.size(); ++i)
      if (arrival_step[i] == step) {
        const auto submitted = engine->submit(requests[i]);
        ASSERT_TRUE(submitted.has_value()) << to_string(submitted.error());
      }
    collect(engine->step(), answers);
    ASSERT_LT(step, 200000u) << "stuck: " << engine->stats().running << " run, " << engine->stats().waiting << " wait";
  }
  EXPECT_EQ(answers, alone);
  expect_no_page_held(*engine);
}

INSTANTIATE_TEST_SUITE_P(RandomLoads, UnderPagePressure, ::testing::Range(0, 16));

}  // namespace
}  // namespace troupe::engine
