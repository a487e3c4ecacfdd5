#include "common/engine/batch/batch_run.hpp"

#include <algorithm>

#include "common/kv/page_pool.hpp"
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

/// `documents` of `length` tokens with `questions` each, shuffled. Tails differ in their first token.
std::vector<Request> questions_about(std::size_t documents, std::size_t questions, std::size_t length, std::size_t tail = 8) {
  std::mt19937_64 random(9);
  std::vector<Request> requests;
  for (std::size_t d = 0; d < documents; ++d) {
    std::vector<TokenId> document(length);
    for (TokenId& token : document) token = static_cast<TokenId>(random() % 300);
    for (std::size_t q = 0; q < questions; ++q) {
      Request request;
      request.id = {5, d * 100 + q};
      request.prompt = document;
      for (std::size_t i = 0; i < tail; ++i) request.prompt.push_back(static_cast<TokenId>(i == 0 ? q : random() % 300));
      request.max_tokens = static_cast<std::uint32_t>(3 + (d * 7) % 11);
      request.sampling.temperature = 1;
      request.sampling.seed = requests.size();
      requests.push_back(std::move(request));
    }
  }
  std::shuffle(requests.begin(), requests.end(), random);
  return requests;
}

EngineSetup pool_of(std::uint32_t pages) {
  static const auto probe = make_engine({});
  EngineSetup setup;
  setup.options.kv_bytes = std::uint64_t{pages} * probe->layer_page_bytes() * probe->layers();
  setup.options.token_budget = setup.options.chunk = 64;
  return setup;
}

struct BatchOutcome {
  Answers answers;
  std::vector<std::size_t> started;  // jobs in the order of their first tokens
  BatchCounts planned;
  std::uint32_t most_pages = 0;
};

BatchOutcome run_batch(Engine& engine, const std::vector<Request>& requests, const BatchOptions& options = {}) {
  BatchOutcome outcome;
  BatchRun run(engine, requests, options, [&](std::size_t job, const TokenEvent& event) {
    EXPECT_EQ(event.id, requests[job].id);
    if (event.first_index == 0) outcome.started.push_back(job);
    StepOutput out;
    out.tokens.push_back(event);
    collect(out, outcome.answers);
  });
  outcome.planned = run.counts();
  for (int i = 0; !run.done() && i < 100000; ++i) {
    run.feed();
    outcome.most_pages = std::max(outcome.most_pages, run.counts().pages);
    run.take(engine.step());
  }
  EXPECT_TRUE(run.done());
  EXPECT_EQ(run.counts().pages, 0u);
  EXPECT_EQ(run.counts().finished, requests.size());
  EXPECT_FALSE(engine.has_work());
  EXPECT_EQ(engine.stats().pages_free + engine.stats().pages_cached, engine.stats().pages_total) << "a prefix is still pinned";
  return outcome;
}

TEST(BatchRun, ComputesEachPrefixOnceAndSaysWhatTheUngroupedRunSays) {
  const auto requests = questions_about(6, 5, 128);
  auto engine = make_engine(pool_of(24));
  const BatchOutcome outcome = run_batch(*engine, requests);
  EXPECT_EQ(outcome.planned.groups, 6u);
  EXPECT_EQ(outcome.planned.saved_tokens, 6u * 4 * 128);
  EXPECT_EQ(outcome.planned.computed_tokens, 6u * (128 + 5 * 8));
  EXPECT_EQ(engine->stats().preemptions, 0u);
  EXPECT_EQ(engine->stats().prompt_tokens, outcome.planned.computed_tokens);
  EXPECT_EQ(outcome.answers, run_alone(*make_engine({}), requests));
}

TEST(BatchRun, ComputesFarLessThanArrivalOrderInASmallPool) {
  const auto requests = questions_about(8, 8, 192);
  auto grouped = make_engine(pool_of(14)), plain = make_engine(pool_of(14));  // all prefixes together need 24 pages
  const BatchOutcome outcome = run_batch(*grouped, requests);
  const BatchOutcome arrival = run_batch(*plain, requests, {.share_prefixes = false});
  EXPECT_EQ(outcome.answers, arrival.answers);
  EXPECT_EQ(grouped->stats().prompt_tokens, 8u * (192 + 8 * 8));
  EXPECT_GE(plain->stats().prompt_tokens, 2 * grouped->stats().prompt_tokens);
  EXPECT_LE(grouped->stats().steps, plain->stats().steps);
}

TEST(BatchRun, StartsGroupsThatDecodeMostFirst) {
  const auto requests = questions_about(6, 4, 64);
  auto engine = make_engine(pool_of(10));
  std::vector<std::vector<std::uint32_t>> members;
  {
    const BatchRun planned(*engine, requests, {}, [](std::size_t, const TokenEvent&) {});
    for (const PrefixGroup& group : planned.groups()) members.push_back(group.members);
  }
  const BatchOutcome outcome = run_batch(*engine, requests);
  std::vector<std::size_t> order;
  for (const std::size_t job : outcome.started) {
    const auto group = static_cast<std::size_t>(
        std::find_if(members.begin(), members.end(), [&](const auto& m) { return std::find(m.begin(), m.end(), job) != m.end(); }) - members.begin());
    if (std::find(order.begin(), order.end(), group) == order.end()) order.push_back(group);
  }
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  for (std::size_t i = 0; i + 1 < members.size(); ++i)
    EXPECT_GE(requests[members[i][0]].max_tokens, requests[members[i + 1][0]].max_tokens) << "prompts are of equal length";
}

TEST(BatchRun, PromisesNoMorePagesThanItMay) {
  const auto requests = questions_about(6, 6, 100);
  for (const std::uint32_t pages : {4u, 7u, 13u}) {
    auto engine = make_engine(pool_of(16));
    const BatchOutcome outcome = run_batch(*engine, requests, {.kv_pages = pages});
    EXPECT_LE(outcome.most_pages, pages);
    EXPECT_EQ(engine->stats().preemptions, 0u);
  }
}

TEST(BatchRun, WithoutAPrefixCacheOnePrefixIsComputedInVain) {
  const auto requests = questions_about(4, 3, 64);
  EngineSetup setup = pool_of(3);  // one group at a time
  setup.options.prefix_cache = false;
  auto engine = make_engine(setup);
  (void)run_batch(*engine, requests);
  EXPECT_EQ(engine->stats().prompt_tokens, 64 + 4u * 3 * (64 + 8));
}

TEST(BatchRun, APrefixThatLeavesNoRoomIsNotPinned) {
  const auto requests = questions_about(2, 3, 200, 40);  // 4 pages and a little in a pool of 4
  auto engine = make_engine(pool_of(4));
  const BatchOutcome outcome = run_batch(*engine, requests);
  EXPECT_EQ(outcome.answers, run_alone(*make_engine({}), requests));
}

TEST(BatchRun, GoesOnBesideRequestsThatSomebodyWaitsFor) {
  const auto requests = questions_about(6, 5, 128);
  const Answers alone = run_alone(*make_engine({}), requests);
  auto engine = make_engine(pool_of(8));
  Answers answers, others;
  BatchRun run(*engine, requests, {}, [&](std::size_t, const TokenEvent& event) {
    StepOutput out;
    out.tokens.push_back(event);
    collect(out, answers);
  });
  const auto online = mixed_requests(40, engine->model().config().vocab);
  std::size_t next = 0;
  for (int i = 0; !run.done() || engine->has_work(); ++i) {
    ASSERT_LT(i, 20000);
    if (i % 5 == 0 && next < online.size()) {
      ASSERT_TRUE(engine->submit(online[next++]).has_value());
    }
    run.feed();
    StepOutput out = engine->step();
    run.take(out);
    std::erase_if(out.tokens, [](const TokenEvent& event) { return event.id.high == 5; });
    collect(out, others);
  }
  EXPECT_EQ(answers, alone);
  EXPECT_EQ(others, run_alone(*make_engine({}), {online.begin(), online.begin() + static_cast<std::ptrdiff_t>(next)}));
}

TEST(BatchRun, APinnedPrefixKeepsNobodyOut) {
  const auto requests = questions_about(3, 4, 128);
  auto engine = make_engine(pool_of(8));
  Answers answers;
  const auto keep = [&](std::size_t, const TokenEvent& event) {
    StepOutput out;
    out.tokens.push_back(event);
    collect(out, answers);
  };
  BatchRun run(*engine, requests, {}, keep);
  for (int i = 0; i < 4; ++i) run.feed(), run.take(engine->step());
  ASSERT_GT(run.counts().pages, 0u);
  Request large;  // needs every page
  large.id = {6, 1};
  large.prompt.assign(500, 7);
  large.max_tokens = 12;
  ASSERT_TRUE(engine->submit(large).has_value());
  bool ended = false;
  for (int i = 0; !run.done() || !ended; ++i) {
    ASSERT_LT(i, 2000) << (ended ? "the batch" : "the large request") << " is stuck";
    run.feed();
    const StepOutput out = engine->step();
    run.take(out);
    for (const TokenEvent& event : out.tokens) ended = ended || (event.id == large.id && event.finish == FinishReason::length);
  }
  EXPECT_EQ(answers, run_alone(*make_engine({}), requests));
}

TEST(BatchRun, ARefusedRequestEndsWithItsErrorAndTheOthersWithTheirAnswers) {
  auto requests = questions_about(2, 3, 64);
  requests[1].prompt.assign(5000, 3);
  auto engine = make_engine(pool_of(10));
  std::vector<Errc> errors;
  std::size_t ends = 0;
  BatchRun run(*engine, requests, {}, [&](std::size_t job, const TokenEvent& event) {
    ends += event.finish != FinishReason::none;
    if (event.error) {
      EXPECT_EQ(job, 1u);
      errors.push_back(event.error->code);
    }
  });
  for (int i = 0; !run.done() && i < 1000; ++i) run.feed(), run.take(engine->step());
  EXPECT_EQ(errors, std::vector<Errc>{Errc::context_length_exceeded});
  EXPECT_EQ(ends, requests.size());
}

TEST(BatchRun, WhatIsUnfinishedWhenItGoesIsCancelled) {
  const auto requests = questions_about(4, 4, 128);
  auto engine = make_engine(pool_of(16));
  for (const int steps : {0, 1, 2, 5, 9}) {
    {
      BatchRun run(*engine, requests, {}, [](std::size_t, const TokenEvent&) {});
      for (int i = 0; i < steps; ++i) run.feed(), run.take(engine->step());
      run.feed();
    }
    EXPECT_FALSE(engine->has_work());
    EXPECT_EQ(engine->stats().pages_free + engine->stats().pages_cached, engine->stats().pages_total) << steps;
  }
}

TEST(BatchRun, AShortQueueOfTheEngineOnlySlowsIt) {
  const auto requests = questions_about(5, 6, 64);
  EngineSetup setup = pool_of(40);
  setup.options.queue = 2;
  setup.options.max_sequences = 3;
  auto engine = make_engine(setup);
  EXPECT_EQ(run_batch(*engine, requests).answers, run_alone(*make_engine({}), requests));
}

}  // namespace
}  // namespace troupe::engine
