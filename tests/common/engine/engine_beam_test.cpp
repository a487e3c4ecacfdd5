// Beam search in the engine: what a search finds is what the model's own scores say, whatever else is in the
// batch and however often it had to give way; its beams share their pages.
#include "tests/common/engine/draft_rig.hpp"

#include "common/base/clock.hpp"

namespace troupe::engine {
namespace {

constexpr TokenId kEnd = 2;

Request beams(std::uint64_t id, std::size_t prompt, std::uint32_t width, std::uint32_t max_tokens) {
  Request request;
  request.id = {9, id};
  std::mt19937_64 random(id);
  while (request.prompt.size() < prompt) request.prompt.push_back(static_cast<TokenId>(3 + random() % 200));
  request.sampling.temperature = 0;
  request.choices = width;
  request.max_tokens = max_tokens;
  request.beam.width = width;
  return request;
}

/// Searches of every kind.
std::vector<Request> searches(std::size_t count, std::size_t longest = 130, std::uint32_t max_tokens = 24) {
  std::vector<Request> out;
  for (std::size_t i = 0; i < count; ++i) {
    static constexpr std::uint32_t kWidths[] = {4, 2, 6, 1, 3};
    Request& request = out.emplace_back(
        beams(i, 1 + (i * 37) % longest, kWidths[i % 5], 1 + max_tokens - static_cast<std::uint32_t>(i) % 5));
    request.beam.groups = i % 5 == 2 ? 3 : i % 5 == 0 ? 2 : 1;
    request.beam.diversity_penalty = request.beam.groups > 1 ? 0.5f : 0.0f;
    request.beam.length_penalty = i % 3 == 0 ? 1.0f : i % 3 == 1 ? 0.0f : 2.0f;
    request.beam.early_stopping = static_cast<EarlyStopping>(i % 3);
    request.choices = i % 4 == 3 ? 1 : request.beam.width;
    request.stop_tokens = {kEnd, static_cast<TokenId>(10 + i)};
    request.sampling.report_logprobs = i % 2 == 0;
    request.sampling.logprobs = i % 4 == 0 ? 3 : 0;
  }
  return out;
}

/// Answers with the scores, bit by bit.
struct Searched {
  Answers answers;
  std::map<std::pair<RequestId, std::uint32_t>, double> scores;
  bool operator==(const Searched&) const = default;
};

void take(const StepOutput& out, Searched& into) {
  for (const TokenEvent& event : out.tokens)
    if (event.score) into.scores[{event.id, event.choice}] = *event.score;
  collect(out, into.answers);
}

Searched search_all(Engine& engine, const std::vector<Request>& requests, bool together) {
  Searched out;
  for (const Request& request : requests) {
    const auto submitted = engine.submit(request);
    EXPECT_TRUE(submitted.has_value()) << (submitted ? "" : to_string(submitted.error()));
    while (!together && engine.has_work()) take(engine.step(), out);
  }
  while (engine.has_work()) take(engine.step(), out);
  return out;
}

/// Only what searches answered.
Searched of_searches(Searched all) {
  std::erase_if(all.answers, [](const auto& entry) { return entry.first.first.high != 9; });
  return all;
}

std::uint32_t used_pages(const Engine& engine) {
  const EngineStats stats = engine.stats();
  return stats.pages_total - stats.pages_free - stats.pages_cached;
}

/// The model's log-probabilities of what follows `text`, best first: one token is drawn and scored.
std::vector<TokenLogprob> scores_after(Engine& engine, std::vector<TokenId> text, std::uint32_t count) {
  Request request;
  request.id = {8, 1};
  request.prompt = std::move(text);
  request.sampling.temperature = 0;
  request.sampling.logprobs = count;
  EXPECT_TRUE(engine.submit(request).has_value());
  Answers answers;
  run(engine, answers);
  return answers.begin()->second.tokens.at(0).top;
}

/// A plain beam search over such scores: every beam's options in one list, sorted; no groups, no pages.
struct Reference {
  struct Text {
    std::vector<TokenId> tokens;
    double sum = 0;
  };
  std::vector<std::pair<double, std::vector<TokenId>>> finished;  ///< score, answer

  Reference(Engine& engine, const Request& request) {
    const std::uint32_t width = request.beam.width;
    std::vector<Text> open = {{}};
    for (std::uint32_t length = 1; length <= request.max_tokens; ++length) {
      std::vector<Text> options;
      for (const Text& text : open) {
        std::vector<TokenId> whole = request.prompt;
        whole.insert(whole.end(), text.tokens.begin(), text.tokens.end());
        for (const TokenLogprob& one : scores_after(engine, whole, 2 * width)) {
          options.push_back(text);
          options.back().tokens.push_back(one.token);
          options.back().sum += static_cast<double>(one.logprob);
        }
      }
      std::stable_sort(options.begin(), options.end(),
                       [](const Text& a, const Text& b) { return a.sum > b.sum; });
      open.clear();
      for (std::size_t rank = 0; rank < options.size() && open.size() < width; ++rank) {
        if (options[rank].tokens.back() != kEnd)
          open.push_back(options[rank]);
        else if (rank < width)
          keep(options[rank], width);
      }
      // early_stopping "never" with length penalty 1: nothing that is under way can do better at full length.
      if (finished.size() == width && finished.back().first >= options[0].sum / request.max_tokens) return;
    }
    for (const Text& text : open) keep(text, width);
  }
  void keep(const Text& text, std::uint32_t width) {
    finished.emplace_back(text.sum / static_cast<double>(text.tokens.size()), text.tokens);
    std::stable_sort(finished.begin(), finished.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    if (finished.size() > width) finished.pop_back();
  }
};

TEST(EngineBeam, FindsWhatAPlainSearchOverTheModelsScoresFinds) {
  for (const char* shape : {"tiny-llama", "tiny-gemma3"}) {
    EngineSetup setup;
    setup.shape = shape;
    auto engine = make_engine(setup);
    for (std::uint64_t id = 1; id <= 3; ++id) {
      Request request = beams(id, 30, 4, 12);
      request.beam.early_stopping = EarlyStopping::never;
      request.stop_tokens = {kEnd};
      const Reference reference(*engine, request);
      const Searched found = search_all(*engine, {request}, true);
      ASSERT_EQ(reference.finished.size(), 4u);
      for (std::uint32_t rank = 0; rank < 4; ++rank) {
        std::vector<TokenId> tokens;
        for (const GeneratedToken& token : found.answers.at({request.id, rank}).tokens)
          tokens.push_back(token.token);
        EXPECT_EQ(tokens, reference.finished[rank].second) << shape << " " << id << " " << rank;
        EXPECT_NEAR((found.scores.at({request.id, rank})), reference.finished[rank].first, 1e-4);
      }
    }
  }
}

TEST(EngineBeam, OneBeamIsGreedyDecoding) {
  auto engine = make_engine({});
  Request search = beams(1, 40, 1, 20);
  search.stop_tokens = {kEnd};
  Request greedy = search;
  greedy.beam = {};
  const Answer plain = run_alone(*engine, {greedy}).begin()->second;
  EXPECT_EQ(run_alone(*engine, {search}).begin()->second, plain);
}

TEST(EngineBeam, TheSameBitsAloneInABatchInChunksAndWithoutACache) {
  auto engine = make_engine({});
  const auto all = searches(12);
  const Searched alone = search_all(*engine, all, false);
  EXPECT_EQ(alone.scores.size(), alone.answers.size());
  EXPECT_EQ(search_all(*engine, all, true), alone);

  std::vector<Request> company = mixed_requests(20, engine->model().config().vocab);
  company.insert(company.begin() + 10, all.begin(), all.end());
  EXPECT_EQ(of_searches(search_all(*engine, company, true)), alone);

  EngineSetup narrow;  // beams of a search take turns in steps of a few rows
  narrow.options.token_budget = 3;
  narrow.options.chunk = 2;
  narrow.options.max_sequences = 6;
  narrow.options.prefix_cache = false;
  narrow.options.hydragen = false;
  EXPECT_EQ(of_searches(search_all(*make_engine(narrow), company, true)), alone);
}

TEST(EngineBeam, DraftersRest) {
  const auto all = searches(4);
  EngineSetup drafting;
  drafting.options.speculation = drafts_always("token-recycling", 8);
  auto drafted = make_engine(drafting);
  EXPECT_EQ(search_all(*drafted, all, true), search_all(*make_engine({}), all, true));
  EXPECT_EQ(totals(*drafted).proposed, 0u);
}

TEST(EngineBeam, GivesWayWhenPagesRunOutAndEndsTheSame) {
  const auto all = searches(10, 130, 90);
  EngineSetup setup;
  const Searched calm = search_all(*make_engine(setup), all, false);
  const auto probe = make_engine(setup);
  for (const PreemptionPolicy policy : {PreemptionPolicy::recompute, PreemptionPolicy::swap}) {
    setup.options.kv_bytes = 22 * probe->layer_page_bytes() * probe->layers();
    setup.options.preemption = policy;
    setup.options.swap_bytes = policy == PreemptionPolicy::swap ? 64u << 20 : 0;
    auto pressed = make_engine(setup);
    EXPECT_EQ(search_all(*pressed, all, true), calm);
    EXPECT_GT(pressed->stats().beam_restarts, 0u);
    EXPECT_EQ(pressed->stats().beam_searches, all.size());
    EXPECT_EQ(used_pages(*pressed), 0u);
    EXPECT_EQ(pressed->stats().swapped_bytes, 0u);
  }
}

TEST(EngineBeam, BeamsShareTheirPagesAndGiveThemBack) {
  auto engine = make_engine({});
  const Request request = beams(3, 10 * 64 + 20, 8, 40);
  ASSERT_TRUE(engine->submit(request));
  Searched out;
  std::uint32_t most = 0;
  while (engine->has_work()) {
    take(engine->step(), out);
    most = std::max(most, used_pages(*engine));
  }
  EXPECT_GT(most, 10u + 1u) << "beams write what they do not share";
  EXPECT_LE(most, 10u + 2 * 8u) << "the prompt's pages are there once";
  EXPECT_EQ(used_pages(*engine), 0u);
  EXPECT_EQ(engine->stats().running, 0u);
}

TEST(EngineBeam, CancelAndDeadlineEndItAndItsPagesGo) {
  ManualClock clock;
  EngineSetup setup;
  setup.clock = &clock;
  auto engine = make_engine(setup);
  Request request = beams(1, 100, 4, 200);
  ASSERT_TRUE(engine->submit(request));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(engine->step().tokens.empty()) << "nothing is said before the end";
  EXPECT_EQ(engine->stats().running, 4u);
  engine->cancel(request.id);
  EXPECT_FALSE(engine->has_work());
  EXPECT_EQ(used_pages(*engine), 0u);

  request.id.low = 2;
  request.deadline = clock.now() + std::chrono::seconds(1);
  ASSERT_TRUE(engine->submit(request));
  for (int i = 0; i < 20; ++i) (void)engine->step();
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

TEST(EngineBeam, AChoiceCanBeAskedForByItsRank) {
  auto engine = make_engine({});
  Request request = beams(5, 50, 4, 15);
  const Searched all = search_all(*engine, {request}, true);
  request.first_choice = 2;
  request.choices = 1;
  const Searched third = search_all(*engine, {request}, true);
  ASSERT_EQ(third.answers.size(), 1u);
  EXPECT_EQ(third.answers.begin()->second, (all.answers.at({request.id, 2})));
  EXPECT_EQ(third.scores.begin()->second, (all.scores.at({request.id, 2})));
}

TEST(EngineBeam, EchoedPromptsAreScoredOnce) {
  auto engine = make_engine({});
  Request request = beams(6, 70, 3, 5);
  request.prompt_logprobs = true;
  request.sampling.report_logprobs = true;
  ASSERT_TRUE(engine->submit(request));
  std::vector<TokenEvent> events;
  while (engine->has_work())
    for (TokenEvent& event : engine->step().tokens) events.push_back(std::move(event));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].prompt_tokens.size(), 70u);
  EXPECT_TRUE(events[1].prompt_tokens.empty());
  double sum = 0;
  for (const GeneratedToken& token : events[0].tokens) sum += static_cast<double>(token.logprob);
  EXPECT_NEAR(sum / static_cast<double>(events[0].tokens.size()), *events[0].score, 1e-4);
}

TEST(EngineBeam, RefusesWhatItCannotDo) {
  EngineSetup setup;
  const auto probe = make_engine(setup);
  setup.options.kv_bytes = 8 * probe->layer_page_bytes() * probe->layers();
  setup.options.max_sequences = 8;
  auto engine = make_engine(setup);
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request request = beams(1, 10, 4, 10);
    change(request);
    const auto submitted = engine->submit(request);
    engine->cancel(request.id);
    return !submitted && submitted.error().code == Errc::invalid_argument;
  };
  EXPECT_FALSE(refused([](Request&) {}));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.temperature = 1; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.repetition_penalty = 1.1f; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.logit_bias = {{1, 1.0f}}; }));
  EXPECT_TRUE(refused([](Request& r) { r.beam.groups = 3; }));
  EXPECT_TRUE(refused([](Request& r) { r.choices = 5; }));
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.choices = 1, r.resumed_tokens = 2; }));
  EXPECT_TRUE(refused([](Request& r) { r.beam.width = 9; })) << "more than it runs at once";
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = 100; })) << "more pages than there are";
}

}  // namespace
}  // namespace troupe::engine
