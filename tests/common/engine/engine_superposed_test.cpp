// Superposed Decoding in the engine: drafts share rows and slots, so a request costs what one answer costs;
// it ends the same whatever else is in the batch and however often it gave way, and leaves nothing behind.
#include "tests/common/engine/draft_rig.hpp"

#include <functional>

#include "common/base/clock.hpp"
#include "common/sampling/superposed/superposed_search.hpp"

namespace troupe::engine {
namespace {

constexpr TokenId kEnd = 2;

Request superposed(std::uint64_t id, std::size_t prompt, std::uint32_t drafts, std::uint32_t max_tokens) {
  Request request;
  request.id = {9, id};
  std::mt19937_64 random(id);
  while (request.prompt.size() < prompt) request.prompt.push_back(static_cast<TokenId>(3 + random() % 200));
  request.sampling.temperature = 0;
  request.choices = drafts;
  request.max_tokens = max_tokens;
  request.superposed = superposed_defaults(drafts);
  return request;
}

/// Requests of every kind; half of them have prompts that repeat themselves, which n-grams know.
std::vector<Request> mixed(std::size_t count, std::size_t longest = 130) {
  std::vector<Request> out;
  for (std::size_t i = 0; i < count; ++i) {
    static constexpr std::uint32_t kDrafts[] = {3, 2, 8, 1, 4};
    const std::size_t length = 1 + (i * 37) % longest;
    Request& request =
        out.emplace_back(superposed(i, length, kDrafts[i % 5], 8 + static_cast<std::uint32_t>(i) % 13));
    if (i % 2 == 0)
      for (std::size_t at = 7; at < length; ++at) request.prompt[at] = request.prompt[at % 7];
    if (i % 3 == 0) request.superposed.alpha = 0;
    request.choices = i % 4 == 3 ? 1 : request.superposed.drafts;
    request.stop_tokens = {kEnd, static_cast<TokenId>(10 + i)};
  }
  return out;
}

/// Answers with the scores, bit by bit.
struct Told {
  Answers answers;
  std::map<std::pair<RequestId, std::uint32_t>, double> scores;
  bool operator==(const Told&) const = default;
};

void take(const StepOutput& out, Told& into) {
  for (const TokenEvent& event : out.tokens)
    if (event.score) into.scores[{event.id, event.choice}] = *event.score;
  collect(out, into.answers);
}

Told run_all(Engine& engine, const std::vector<Request>& requests, bool together) {
  Told out;
  for (const Request& request : requests) {
    const auto submitted = engine.submit(request);
    EXPECT_TRUE(submitted.has_value()) << (submitted ? "" : to_string(submitted.error()));
    while (!together && engine.has_work()) take(engine.step(), out);
  }
  while (engine.has_work()) take(engine.step(), out);
  return out;
}

/// Only what superposed requests answered.
Told of_superposed(Told all) {
  std::erase_if(all.answers, [](const auto& entry) { return entry.first.first.high != 9; });
  return all;
}

std::uint32_t used_pages(const Engine& engine) {
  const EngineStats stats = engine.stats();
  return stats.pages_total - stats.pages_free - stats.pages_cached;
}

std::vector<TokenId> ids_of(const Answer& answer) {
  std::vector<TokenId> out;
  for (const GeneratedToken& token : answer.tokens) out.push_back(token.token);
  return out;
}

TEST(EngineSuperposed, OneDraftWithoutNgramsIsGreedyDecodingBitForBit) {
  for (const char* shape : {"tiny-llama", "tiny-gemma3"}) {
    EngineSetup setup;
    setup.shape = shape;
    auto engine = make_engine(setup);
    for (std::uint64_t id = 1; id <= 12; ++id) {
      Request request = superposed(id, 10 * id, 1, kMostSuperposedTokens);
      request.superposed.alpha = 0;
      request.stop_tokens = {kEnd};
      Request greedy = request;
      greedy.superposed = {};
      const Answer plain = run_alone(*engine, {greedy}).begin()->second;
      // The stop token of every other request is one that greedy decoding comes to.
      if (id % 2 == 0)
        request.stop_tokens =
            greedy.stop_tokens = {plain.tokens[std::min<std::size_t>(7, plain.tokens.size() - 1)].token};
      const Answer expected = run_alone(*engine, {greedy}).begin()->second;
      if (id % 2 == 0) {
        EXPECT_EQ(expected.finish, FinishReason::stop);
      }
      EXPECT_EQ(run_alone(*engine, {request}).begin()->second, expected) << shape << " " << id;
    }
  }
}

TEST(EngineSuperposed, FirstTokensAreTheModelsBest) {
  auto engine = make_engine({});
  for (std::uint64_t id = 1; id <= 5; ++id) {
    Request request = superposed(id, 30, 8, 1);
    request.superposed.alpha = 0;
    Request scored = request;
    scored.superposed = {};
    scored.choices = 1;
    scored.sampling.logprobs = 8;
    const Answer best = run_alone(*engine, {scored}).begin()->second;
    const Answers first = run_alone(*engine, {request});
    for (std::uint32_t rank = 0; rank < 8; ++rank)
      EXPECT_EQ(ids_of(first.at({request.id, rank})), std::vector<TokenId>{best.tokens[0].top[rank].token})
          << rank;
  }
}

/// Forwards and slots are those of one answer, however many drafts there are.
TEST(EngineSuperposed, CostsTheRowsAndThePagesOfOneAnswer) {
  for (const std::uint32_t drafts : {1u, 3u, 10u, kMostSuperposed}) {
    auto engine = make_engine({});
    const Request request = superposed(3, 10 * 64 + 60, drafts, 20);
    ASSERT_TRUE(engine->submit(request));
    Told out;
    std::uint32_t most = 0;
    while (engine->has_work()) {
      take(engine->step(), out);
      most = std::max(most, used_pages(*engine));
      EXPECT_LE(engine->stats().running, 1u);
    }
    ASSERT_EQ(out.answers.size(), drafts);
    for (const auto& [key, answer] : out.answers) EXPECT_EQ(answer.tokens.size(), 20u);
    const EngineStats stats = engine->stats();
    EXPECT_EQ(stats.step_rows.rows, request.prompt.size() + 19) << drafts;
    EXPECT_EQ(stats.steps, 2u + 19u) << "two chunks of the prompt, then a row a step";
    EXPECT_EQ(stats.blended_rows, 19u);
    EXPECT_EQ(stats.superposed_requests, 1u);
    EXPECT_EQ(most, (request.prompt.size() + 19 + 63) / 64) << drafts;
    EXPECT_EQ(used_pages(*engine), 0u);
  }
}

TEST(EngineSuperposed, TheSameBitsAloneInABatchInChunksAndWithoutACache) {
  auto engine = make_engine({});
  const auto all = mixed(15);
  const Told alone = run_all(*engine, all, false);
  EXPECT_EQ(alone.scores.size(), alone.answers.size());
  EXPECT_EQ(run_all(*engine, all, true), alone);

  std::vector<Request> company = mixed_requests(20, engine->model().config().vocab);
  company.insert(company.begin() + 10, all.begin(), all.end());
  EXPECT_EQ(of_superposed(run_all(*engine, company, true)), alone);

  EngineSetup narrow;
  narrow.options.token_budget = 3;
  narrow.options.chunk = 2;
  narrow.options.max_sequences = 6;
  narrow.options.prefix_cache = false;
  narrow.options.hydragen = false;
  narrow.options.speculation = drafts_always("token-recycling", 8);
  EXPECT_EQ(of_superposed(run_all(*make_engine(narrow), company, true)), alone);
}

TEST(EngineSuperposed, CompanyIsNotChangedByIt) {
  auto engine = make_engine({});
  const auto company = mixed_requests(20, engine->model().config().vocab);
  const Answers expected = run_batched(*engine, company);
  std::vector<Request> both = mixed(15);
  both.insert(both.begin() + 7, company.begin(), company.end());
  Answers together = run_batched(*engine, both);
  std::erase_if(together, [](const auto& entry) { return entry.first.first.high == 9; });
  EXPECT_EQ(together, expected);
}

/// Six pages, of which urgent prompts that come in between take three each.
TEST(EngineSuperposed, GivesWayWhenPagesRunOutAndEndsTheSame) {
  std::vector<Request> all = mixed(12, 64);
  for (Request& request : all) {
    request.prompt.resize(60, 7);
    request.max_tokens = 20;
    request.stop_tokens.clear();
  }
  EngineSetup setup;
  const Told calm = run_all(*make_engine(setup), all, false);
  const auto probe = make_engine(setup);
  for (const PreemptionPolicy policy : {PreemptionPolicy::recompute, PreemptionPolicy::swap}) {
    setup.options.kv_bytes = 6 * probe->layer_page_bytes() * probe->layers();
    setup.options.preemption = policy;
    setup.options.swap_bytes = policy == PreemptionPolicy::swap ? 64u << 20 : 0;
    auto pressed = make_engine(setup);
    for (const Request& request : all) ASSERT_TRUE(pressed->submit(request));
    Told told;
    std::uint64_t urgent = 0;
    for (int step = 1; pressed->has_work(); ++step) {
      take(pressed->step(), told);
      if (step % 4 != 0 || urgent == 20) continue;
      Request plain;
      plain.id = {7, ++urgent};
      plain.prompt.assign(180, static_cast<TokenId>(urgent));
      plain.priority = 1;
      plain.max_tokens = 2;
      plain.sampling.temperature = 0;
      ASSERT_TRUE(pressed->submit(plain));
    }
    EXPECT_EQ(of_superposed(told), calm);
    EXPECT_GT(pressed->stats().superposed_restarts, 0u);
    EXPECT_EQ(pressed->stats().superposed_requests, all.size());
    EXPECT_EQ(used_pages(*pressed), 0u);
    EXPECT_EQ(pressed->stats().swapped_bytes, 0u);
  }
}

TEST(EngineSuperposed, ThePrefixCacheHasNoneOfItsRows) {
  auto engine = make_engine({});
  Request request = superposed(4, 70, 4, 20);
  ASSERT_TRUE(engine->submit(request));
  while (engine->has_work()) {
    (void)engine->step();
    EXPECT_LE(engine->cached_blocks().size(), 4u) << "whole blocks of the prompt";
  }
  EXPECT_EQ(engine->cached_blocks().size(), 4u);
  // One draft: its slots hold what a greedy answer's would, and are not found all the same.
  Request one = superposed(4, 70, 1, 20);
  one.superposed.alpha = 0;
  const Answer told = run_alone(*engine, {one}).begin()->second;
  EXPECT_EQ(engine->cached_blocks().size(), 4u);
  Request next;
  next.id = {8, 1};
  next.prompt = one.prompt;
  for (const GeneratedToken& token : told.tokens) next.prompt.push_back(token.token);
  next.sampling.temperature = 0;
  next.max_tokens = 10;
  const Answer after = run_alone(*engine, {next}).begin()->second;
  EXPECT_EQ(after.cached_tokens, 64u);
  EXPECT_EQ(after, run_alone(*make_engine({}), {next}).begin()->second);
}

TEST(EngineSuperposed, CancelAndDeadlineEndItAndItsPagesGo) {
  ManualClock clock;
  EngineSetup setup;
  setup.clock = &clock;
  auto engine = make_engine(setup);
  Request request = superposed(1, 100, 4, 20);
  ASSERT_TRUE(engine->submit(request));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(engine->step().tokens.empty()) << "nothing is said before the end";
  EXPECT_EQ(engine->stats().running, 1u);
  engine->cancel(request.id);
  EXPECT_FALSE(engine->has_work());
  EXPECT_EQ(used_pages(*engine), 0u);

  request.id.low = 2;
  request.deadline = clock.now() + std::chrono::seconds(1);
  ASSERT_TRUE(engine->submit(request));
  for (int i = 0; i < 10; ++i) (void)engine->step();
  clock.advance(std::chrono::seconds(2));
  const StepOutput out = engine->step();
  ASSERT_EQ(out.tokens.size(), 4u) << "one event for each choice";
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(out.tokens[i].choice, i);
    EXPECT_EQ(out.tokens[i].error->code, Errc::deadline_exceeded);
  }
  EXPECT_FALSE(engine->has_work());
  EXPECT_EQ(used_pages(*engine), 0u);
}

TEST(EngineSuperposed, AnInterruptedStepIsDoneAgain) {
  auto engine = make_engine({});
  const Request request = superposed(6, 50, 4, 20);
  const Told expected = run_all(*engine, {request}, true);
  ASSERT_TRUE(engine->submit(request));
  Told out;
  for (int layer = 0; engine->has_work(); ++layer) {
    int left = layer % 4;
    take(engine->step([&] { return left-- == 0; }), out);
  }
  EXPECT_EQ(out, expected);
}

TEST(EngineSuperposed, AChoiceCanBeAskedForByItsRank) {
  auto engine = make_engine({});
  Request request = superposed(5, 50, 4, 15);
  const Told all = run_all(*engine, {request}, true);
  request.first_choice = 2;
  request.choices = 1;
  const Told third = run_all(*engine, {request}, true);
  ASSERT_EQ(third.answers.size(), 1u);
  EXPECT_EQ(third.answers.begin()->second, (all.answers.at({request.id, 2})));
  EXPECT_EQ(third.scores.begin()->second, (all.scores.at({request.id, 2})));
  EXPECT_GE((all.scores.at({request.id, 0})), (all.scores.at({request.id, 1}))) << "best first";
}

TEST(EngineSuperposed, NgramsOfThePromptAndOfATextDecide) {
  EngineSetup setup;
  Request request = superposed(7, 40, 2, 1);
  request.prompt.back() = 300;  // which stands nowhere else
  request.superposed.alpha = 0;
  const Told plain = run_all(*make_engine(setup), {request}, true);
  const TokenId first = ids_of(plain.answers.at({request.id, 0})).front();
  const TokenId second = ids_of(plain.answers.at({request.id, 1})).front();
  const auto best = [&](Engine& engine, const Request& asked) {
    return ids_of(run_all(engine, {asked}, true).answers.at({asked.id, 0})).front();
  };
  request.superposed.alpha = 0.9f;
  EXPECT_EQ(best(*make_engine(setup), request), first) << "nobody knows what follows";

  // A prompt that says what followed before; the model has it among its best, but not first.
  auto engine = make_engine(setup);
  bool found = false;
  for (TokenId follows = 3; follows < 300 && !found; ++follows) {
    Request repeating = superposed(7, 40, 8, 1);
    repeating.prompt.back() = 300;
    repeating.prompt.insert(repeating.prompt.begin(), {300, follows});
    repeating.superposed.alpha = 0;
    const Told unsmoothed = run_all(*engine, {repeating}, true);
    for (std::uint32_t rank = 1; rank < 8; ++rank)
      found = found || ids_of(unsmoothed.answers.at({repeating.id, rank})).front() == follows;
    if (!found) continue;
    repeating.superposed.alpha = 0.9f;
    EXPECT_EQ(best(*engine, repeating), follows);
  }
  EXPECT_TRUE(found);

  auto table = std::make_shared<NgramTable>(1000);
  table->add(std::vector<TokenId>{300, second});
  setup.options.ngrams = table;
  EXPECT_EQ(best(*make_engine(setup), request), second);
}

TEST(EngineSuperposed, RefusesWhatItCannotDo) {
  auto engine = make_engine({});
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request request = superposed(1, 10, 4, 10);
    change(request);
    const auto submitted = engine->submit(request);
    engine->cancel(request.id);
    return !submitted && submitted.error().code == Errc::invalid_argument &&
           submitted.error().detail.size() > 10;
  };
  EXPECT_FALSE(refused([](Request&) {}));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.temperature = 1; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.repetition_penalty = 1.1f; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.logit_bias = {{1, 1.0f}}; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.report_logprobs = true; }));
  EXPECT_TRUE(refused([](Request& r) { r.rules.min_tokens = 2; }));
  EXPECT_TRUE(refused([](Request& r) { r.beam.width = 4; }));
  EXPECT_TRUE(refused([](Request& r) { r.superposed.alpha = 2; }));
  EXPECT_TRUE(refused([](Request& r) { r.choices = 5; }));
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = kMostSuperposedTokens + 1; }));
  EXPECT_TRUE(refused([](Request& r) { r.choices = 1, r.resumed_tokens = 2; }));
}

}  // namespace
}  // namespace troupe::engine
