// Drafts change no byte of an answer, whoever drafts, whatever else is in the step.
#include "tests/common/engine/draft_rig.hpp"
#include "tests/common/engine/faulty_backend.hpp"

namespace troupe::engine {
namespace {

struct DraftCase {
  const char* shape;
  const char* drafter;
};

class Drafts : public ::testing::TestWithParam<DraftCase> {
 protected:
  static constexpr std::size_t kRequests = 30;

  EngineSetup setup(std::uint32_t most = 8) const {
    EngineSetup s;
    s.shape = GetParam().shape;
    s.options.speculation = drafts_always(GetParam().drafter, most);
    return s;
  }
  void SetUp() override {
    EngineSetup plain;
    plain.shape = GetParam().shape;
    plain.options.prefix_cache = false;
    engine_ = make_engine(plain);
    requests_ = mixed_requests(kRequests, engine_->model().config().vocab);
    for (Request& request : requests_) request.max_tokens += 30;
    expected_ = run_alone(*engine_, requests_);
    teach(requests_, expected_);
  }
  static void expect_no_page_held(const Engine& engine) {
    const EngineStats stats = engine.stats();
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  }
  /// The knowing drafter is right often enough that a mistake in what follows an accepted guess would show.
  static void expect_accepted(const Engine& engine) {
    if (GetParam().drafter != std::string("knowing")) return;
    const DraftTotals sum = totals(engine);
    EXPECT_GT(sum.accepted, 300u);
    EXPECT_GT(sum.proposed, sum.accepted);
  }

  std::unique_ptr<Engine> engine_;
  std::vector<Request> requests_;
  Answers expected_;
};

TEST_P(Drafts, AnswersAreThePlainOnesByteForByteUnderEverySchedule) {
  std::map<std::string, EngineSetup> schedules;
  schedules["batched"] = setup();
  schedules["one guess"] = setup(1);
  schedules["many guesses"] = setup(40);
  schedules["small budget"] = setup();
  schedules["small budget"].options.token_budget = 70;  // less than every stream with its draft
  schedules["prefill first"] = setup();
  schedules["prefill first"].options.schedule = SchedulePolicy::prefill_first;
  schedules["two threads"] = setup();
  schedules["two threads"].cpu.threads = 2;
  for (const auto& [name, schedule] : schedules) {
    auto engine = make_engine(schedule);
    EXPECT_EQ(run_batched(*engine, requests_), expected_) << name;
    EXPECT_EQ(run_batched(*engine, requests_), expected_) << name << ", from the cache";
    expect_accepted(*engine);
    expect_no_page_held(*engine);
  }
}

TEST_P(Drafts, PagesHoldWhatPlainDecodingLeaves) {
  auto engine = make_engine(setup());
  (void)run_batched(*engine, requests_);
  // Each text goes on from its pages in the cache; what they hold decides every later token.
  std::vector<Request> further;
  for (const Request& request : requests_) {
    Request next = request;
    next.choices = 1;
    for (const GeneratedToken& token : expected_.at({request.id, 0}).tokens)
      next.prompt.push_back(token.token);
    next.prompt.push_back(9);
    next.max_tokens = 6;
    further.push_back(next);
  }
  const Answers computed = run_alone(*engine_, further);
  const std::uint64_t before = engine->stats().cached_tokens;
  EXPECT_EQ(run_alone(*engine, further), computed);
  EXPECT_GT(engine->stats().cached_tokens, before);
}

TEST_P(Drafts, GuessesTakeNoPageFromAnybodyAndPreemptionChangesNothing) {
  EngineSetup tight = setup();
  tight.options.kv_bytes = engine_->layer_page_bytes() * engine_->layers() * 9;
  auto engine = make_engine(tight);
  EXPECT_EQ(run_batched(*engine, requests_), expected_);
  // Streams of other drafters may end before pages run out.
  if (GetParam().drafter == std::string("knowing")) {
    EXPECT_GT(engine->stats().preemptions, 0u);
  }
  expect_no_page_held(*engine);
}

TEST_P(Drafts, InterruptedStepsAndCancelledNeighboursChangeNothing) {
  auto engine = make_engine(setup());
  Answers answers;
  for (const Request& request : requests_) ASSERT_TRUE(engine->submit(request).has_value());
  int asked = 0;
  for (std::size_t i = 0; engine->has_work(); ++i) {
    collect(engine->step([&] { return ++asked % 11 == 0; }), answers);
    if (i % 8 == 0) engine->cancel(requests_[(i * 7) % requests_.size()].id);
  }
  std::size_t whole = 0;
  for (const auto& [key, answer] : answers) {
    const auto& expected = expected_.at(key).tokens;
    ASSERT_LE(answer.tokens.size(), expected.size());
    EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), expected.begin()));
    whole += answer.finish != FinishReason::none ? 1 : 0;
  }
  EXPECT_GT(whole, 3u);
  expect_no_page_held(*engine);
}

TEST_P(Drafts, AMovedStreamGoesOnAsIfItHadNeverBeenDraftedFor) {
  auto engine = make_engine(setup());
  for (std::size_t i = 0; i < requests_.size(); i += 3) {
    Request resumed = requests_[i];
    resumed.choices = 1;
    const auto& tokens = expected_.at({resumed.id, 0}).tokens;
    resumed.resumed_tokens = static_cast<std::uint32_t>(tokens.size() / 2);
    for (std::size_t t = 0; t < resumed.resumed_tokens; ++t) resumed.prompt.push_back(tokens[t].token);
    ASSERT_TRUE(engine->submit(resumed).has_value());
    std::vector<GeneratedToken> tail;
    while (engine->has_work())
      for (const TokenEvent& event : engine->step().tokens) {
        EXPECT_EQ(event.first_index, resumed.resumed_tokens + tail.size());
        EXPECT_LE(event.accepted_tokens, event.drafted_tokens);
        EXPECT_LT(event.accepted_tokens, event.tokens.size());
        tail.insert(tail.end(), event.tokens.begin(), event.tokens.end());
      }
    EXPECT_TRUE(std::equal(tail.begin(), tail.end(), tokens.begin() + resumed.resumed_tokens, tokens.end()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Engine, Drafts,
    ::testing::Values(DraftCase{"tiny-llama", "knowing"}, DraftCase{"tiny-llama", "hostile"},
                      DraftCase{"tiny-llama", "auto"}, DraftCase{"tiny-llama", "token-recycling"},
                      DraftCase{"tiny-gemma3", "knowing"}),
    [](const auto& instance) {
      std::string name = std::string(instance.param.shape) + "_" + instance.param.drafter;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// The comparison above is worth something only if it finds what could be wrong with it.
TEST(DraftsOnAFaultyBackend, GiveOtherAnswers) {
  static const SteadyClock clock;
  auto engine = make_engine({});
  auto requests = mixed_requests(20, engine->model().config().vocab);
  for (Request& request : requests) request.max_tokens += 30;
  const Answers expected = run_alone(*engine, requests);
  teach(requests, expected);
  using Fault = FaultyBackend::Fault;
  for (const Fault fault : {Fault::none, Fault::causal_mask, Fault::no_moves}) {
    auto cpu = backend::make_cpu_backend({.threads = 1});
    ASSERT_TRUE(cpu.has_value());
    EngineOptions options = EngineSetup().options;
    options.speculation = drafts_always("knowing");
    auto drafted = Engine::create(tiny_model("tiny-llama"),
                                  std::make_shared<FaultyBackend>(std::move(*cpu), fault), options, clock);
    ASSERT_TRUE(drafted.has_value());
    EXPECT_EQ(run_batched(**drafted, requests) == expected, fault == Fault::none) << static_cast<int>(fault);
  }
}

TEST(EngineDrafts, ARequestNamesItsDrafterOrNone) {
  EngineSetup setup;
  setup.options.speculation = drafts_always("knowing");
  auto engine = make_engine(setup);
  Request request;
  request.id = {9, 9};
  request.prompt = {3, 4, 5, 3, 4};
  request.max_tokens = 30;
  request.sampling.temperature = 0;
  Answers answers;
  request.drafter = "oracle";
  const auto refused = engine->submit(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  request.drafter = "off";
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, answers);
  EXPECT_EQ(totals(*engine).proposed, 0u);
  request.drafter = "hostile";
  const Answers plain = std::exchange(answers, {});
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, answers);
  EXPECT_EQ(answers, plain);
  EXPECT_GT(totals(*engine).proposed, 0u);
}

TEST(EngineDrafts, AcceptedRunsStopAtStopTokensLengthAndContext) {
  EngineSetup setup;
  auto plain = make_engine(setup);
  setup.options.speculation = drafts_always("knowing");
  setup.options.kv_bytes = plain->layer_page_bytes() * plain->layers() * 2;
  auto engine = make_engine(setup);
  ASSERT_EQ(engine->context_length(), 128u);
  Request request;
  request.id = {9, 9};
  request.prompt.assign(100, 5);
  request.max_tokens = 1000;
  request.sampling.temperature = 1;
  request.sampling.seed = 4;
  Answers whole, drafted;
  setup.options.speculation.drafter = "off";
  auto same_context = make_engine(setup);
  ASSERT_TRUE(same_context->submit(request).has_value());
  run(*same_context, whole);
  teach({request}, whole);
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, drafted);
  EXPECT_EQ(drafted, whole);
  EXPECT_EQ(drafted.begin()->second.tokens.size(), 28u) << "the context holds no more";
  for (const std::uint32_t length : {1u, 2u, 3u, 7u}) {
    Request shorter = request;
    shorter.max_tokens = length;
    Answers answers;
    ASSERT_TRUE(engine->submit(shorter).has_value());
    run(*engine, answers);
    EXPECT_EQ(answers.begin()->second.tokens.size(), length);
    EXPECT_EQ(answers.begin()->second.finish, FinishReason::length);
  }
  const auto& tokens = whole.begin()->second.tokens;
  for (const std::size_t at : {2u, 5u, 9u}) {
    Request stopped = request;
    stopped.stop_tokens = {tokens[at].token};
    const auto first = std::find_if(tokens.begin(), tokens.end(),
                                    [&](const GeneratedToken& t) { return t.token == tokens[at].token; });
    Answers answers;
    ASSERT_TRUE(engine->submit(stopped).has_value());
    run(*engine, answers);
    EXPECT_EQ(answers.begin()->second.finish, FinishReason::stop);
    EXPECT_EQ(answers.begin()->second.tokens.size(), static_cast<std::size_t>(first - tokens.begin()) + 1);
  }
}

TEST(EngineDrafts, NothingIsDraftedBeforeStepTimesAreKnown) {
  ManualClock clock;  // stands still: no step takes time
  EngineSetup setup;
  setup.clock = &clock;
  setup.options.speculation.drafter = "auto";
  auto engine = make_engine(setup);
  (void)run_batched(*engine, mixed_requests(10, engine->model().config().vocab));
  EXPECT_EQ(totals(*engine).proposed, 0u);
}

}  // namespace
}  // namespace troupe::engine
