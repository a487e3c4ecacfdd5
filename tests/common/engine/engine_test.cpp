// Same bits: what a stream says depends on its own request only.
#include <fstream>

#include "tests/common/engine/rig.hpp"
#include "tests/support/sanitized.hpp"

namespace troupe::engine {
namespace {

const char* const kShapes[] = {"tiny-llama", "tiny-gemma3", "tiny-qwen2", "tiny-qwen3"};

std::vector<Request> requests_for(const Engine& engine, std::size_t count) {
  return mixed_requests(count, engine.model().config().vocab);
}

void expect_no_page_held(const Engine& engine) {
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  EXPECT_EQ(stats.running + stats.waiting + stats.pages_reserved, 0u);
}

class EveryShape : public ::testing::TestWithParam<const char*> {
 protected:
  EngineSetup setup() const {
    EngineSetup s;
    s.shape = GetParam();
    return s;
  }
};

// Two hundred requests on the first shape, fifty on the others: the schedules are the same code. A quarter
// with sanitizers.
TEST_P(EveryShape, MixedRequestsAreEqualAloneAndUnderEverySchedule) {
  EngineSetup plain = setup();
  plain.options.prefix_cache = false;
  auto engine = make_engine(plain);
  const std::size_t most = GetParam() == std::string(kShapes[0]) ? 200 : 50;
  const auto requests = requests_for(*engine, kSanitized ? most / 4 : most);
  const Answers expected = run_alone(*engine, requests);
  expect_no_page_held(*engine);
  EXPECT_EQ(engine->stats().pages_cached, 0u);

  std::map<std::string, EngineSetup> schedules;
  schedules["batched"] = setup();
  for (const std::uint32_t chunk : {1u, 16u, 64u, 512u}) {
    EngineSetup s = setup();
    s.options.chunk = chunk;
    schedules["chunk " + std::to_string(chunk)] = s;
  }
  for (const backend::Isa isa : backend::supported_isas()) {
    EngineSetup s = setup();
    s.cpu.isa = isa;
    schedules["isa " + std::to_string(static_cast<int>(isa))] = s;
  }
  schedules["two threads"] = setup();
  schedules["two threads"].cpu.threads = 2;
  schedules["small budget"] = setup();
  schedules["small budget"].options.token_budget = 7;
  schedules["prefill first"] = setup();
  schedules["prefill first"].options.schedule = SchedulePolicy::prefill_first;
  schedules["chosen budget"] = setup();
  schedules["chosen budget"].options.itl_slo = std::chrono::milliseconds(2);
  for (const auto& [name, schedule] : schedules) {
    auto other = make_engine(schedule);
    EXPECT_EQ(run_batched(*other, requests), expected) << name;
    expect_no_page_held(*other);
    const std::uint64_t before = other->stats().cached_tokens;
    EXPECT_EQ(run_batched(*other, requests), expected) << name << ", from the cache";
    EXPECT_GT(other->stats().cached_tokens, before) << name << " did not hit the prefix cache";
  }
}

TEST_P(EveryShape, StreamsAreTheCommittedOnesOnEveryMachine) {
  auto engine = make_engine(setup());
  const std::string digest = digest_of(run_batched(*engine, requests_for(*engine, 100)));
  const std::filesystem::path file = std::string("tests/golden/streams/") + GetParam() + ".txt";
  if (std::getenv("TROUPE_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << digest << "\n";
  }
  std::ifstream in(file);
  std::string committed;
  ASSERT_TRUE(in >> committed) << file << " is missing";
  EXPECT_EQ(digest, committed);
}

TEST_P(EveryShape, PreemptedStreamsContinueIdentically) {
  auto roomy = make_engine(setup());
  auto requests = requests_for(*roomy, 40);
  for (Request& request : requests) request.max_tokens = 70;  // each grows into another page
  const Answers expected = run_batched(*roomy, requests);
  EngineSetup tight = setup();
  tight.options.kv_bytes =
      roomy->layer_page_bytes() * roomy->layers() * 8;  // 8 pages for 40 streams of up to 5
  auto engine = make_engine(tight);
  EXPECT_EQ(run_batched(*engine, requests), expected);
  EXPECT_GT(engine->stats().preemptions, 0u);
  expect_no_page_held(*engine);
}

TEST_P(EveryShape, AResumedStreamGoesOnAsIfNothingHadHappened) {
  auto engine = make_engine(setup());
  for (Request request : requests_for(*engine, 20)) {
    request.choices = 1;
    request.max_tokens = 12;
    Answers whole, rest;
    ASSERT_TRUE(engine->submit(request).has_value());
    run(*engine, whole);
    const Answer& answer = whole.begin()->second;
    ASSERT_EQ(answer.tokens.size(), 12u);
    Request resumed = request;
    resumed.epoch = Epoch{2};
    resumed.resumed_tokens = 5;
    for (std::size_t i = 0; i < 5; ++i) resumed.prompt.push_back(answer.tokens[i].token);
    ASSERT_TRUE(engine->submit(resumed).has_value());
    std::vector<GeneratedToken> tail;
    while (engine->has_work())
      for (const TokenEvent& event : engine->step().tokens) {
        EXPECT_EQ(event.first_index, 5 + tail.size());
        EXPECT_EQ(event.epoch, Epoch{2});
        tail.insert(tail.end(), event.tokens.begin(), event.tokens.end());
      }
    EXPECT_TRUE(std::equal(tail.begin(), tail.end(), answer.tokens.begin() + 5, answer.tokens.end()));
  }
}

TEST_P(EveryShape, ChoicesAreEqualToTheSameChoicesAskedSeparately) {
  auto engine = make_engine(setup());
  Request request = requests_for(*engine, 2)[1];
  request.choices = 4;
  request.max_tokens = 10;
  Answers together, apart;
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, together);
  ASSERT_EQ(together.size(), 4u);
  for (std::uint32_t choice = 0; choice < 4; ++choice) {
    Request single = request;
    single.first_choice = choice;
    single.choices = 1;
    ASSERT_TRUE(engine->submit(single).has_value());
    run(*engine, apart);
  }
  EXPECT_EQ(together, apart);
  EXPECT_FALSE(together.at({request.id, 0}) == together.at({request.id, 1}))
      << "choices share their random numbers";
  expect_no_page_held(*engine);
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryShape, ::testing::ValuesIn(kShapes), [](const auto& instance) {
  std::string name = instance.param;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
});

TEST(Engine, CancelAtAnyStageFreesEverything) {
  auto engine = make_engine({});
  const auto requests = requests_for(*engine, 40);
  Answers answers;
  for (const Request& request : requests) ASSERT_TRUE(engine->submit(request).has_value());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i % 3 != 0) collect(engine->step(), answers);
    engine->cancel(requests[(i * 7) % requests.size()].id);
  }
  run(*engine, answers);
  expect_no_page_held(*engine);
}

TEST(Engine, AnInterruptedStepIsComputedAgainToTheSameBits) {
  auto engine = make_engine({});
  const auto requests = requests_for(*engine, 30);
  const Answers expected = run_batched(*engine, requests);
  auto other = make_engine({});
  Answers answers;
  for (const Request& request : requests) ASSERT_TRUE(other->submit(request).has_value());
  int asked = 0;
  while (other->has_work()) collect(other->step([&] { return ++asked % 37 == 0; }), answers);
  EXPECT_EQ(answers, expected);
  expect_no_page_held(*other);
}

TEST(Engine, StopTokensEndAStreamAndAreReported) {
  auto engine = make_engine({});
  Request request = requests_for(*engine, 1)[0];
  request.max_tokens = 10;
  Answers free_run, stopped;
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, free_run);
  const TokenId third = free_run.begin()->second.tokens[2].token;
  request.stop_tokens = {third};
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, stopped);
  EXPECT_EQ(stopped.begin()->second.finish, FinishReason::stop);
  EXPECT_EQ(stopped.begin()->second.tokens.back().token, third);
  EXPECT_LE(stopped.begin()->second.tokens.size(), 3u);
}

TEST(Engine, EndsAtTheContextAndRefusesWhatCannotFit) {
  EngineSetup setup;
  auto probe = make_engine(setup);
  setup.options.kv_bytes = probe->layer_page_bytes() * probe->layers() * 2;
  auto engine = make_engine(setup);
  ASSERT_EQ(engine->context_length(), 128u);
  Request request;
  request.id = {9, 9};
  request.prompt.assign(120, 5);
  request.max_tokens = 1000;
  request.sampling.temperature = 0;
  Answers answers;
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, answers);
  EXPECT_EQ(answers.begin()->second.tokens.size(), 8u);
  EXPECT_EQ(answers.begin()->second.finish, FinishReason::length);
  request.prompt.assign(128, 5);
  const auto refused = engine->submit(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::context_length_exceeded);
  EXPECT_NE(refused.error().detail.find("128"), std::string::npos);
}

TEST(Engine, RefusesBadRequestsByName) {
  auto engine = make_engine({});
  Request request;
  request.id = {9, 9};
  request.max_tokens = 1;
  EXPECT_EQ(engine->submit(request).error().code, Errc::invalid_argument) << "an empty prompt";
  request.prompt = {static_cast<TokenId>(engine->model().config().vocab)};
  EXPECT_EQ(engine->submit(request).error().code, Errc::invalid_argument);
  request.prompt = {-1};
  EXPECT_EQ(engine->submit(request).error().code, Errc::invalid_argument);
  request.prompt = {1};
  request.sampling.temperature = -1;
  EXPECT_EQ(engine->submit(request).error().code, Errc::invalid_argument);
}

// Streams that ask for log-probabilities keep whole rows of logits; the others only what decides their draws.
TEST_P(EveryShape, StreamsThatKeepFewLogitsDrawWhatWholeRowsDraw) {
  auto engine = make_engine(setup());
  std::vector<Request> few = requests_for(*engine, 60);
  for (std::size_t i = 0; i < few.size(); ++i) {
    SamplingParams& s = few[i].sampling;
    s = {};
    s.seed = i;
    if (i % 4 == 0) s.temperature = 0;
    if (i % 4 == 1) s.top_k = 40, s.top_p = 0.9f;
    if (i % 4 == 2) s.top_k = 5, s.temperature = 1.5f, s.min_p = 0.02f;
    few[i].choices = i % 7 == 0 ? 3 : 1;
  }
  std::vector<Request> whole = few;
  for (Request& request : whole) request.sampling.report_logprobs = true;
  Answers expected = run_alone(*engine, whole);
  for (auto& [key, answer] : expected)
    for (GeneratedToken& token : answer.tokens) token.logprob = 0.0f;
  EXPECT_EQ(run_alone(*engine, few), expected);
  EXPECT_EQ(run_batched(*engine, few), expected) << "beside rows that are kept whole";
  EngineSetup threads = setup();
  threads.cpu = {.threads = 3, .isa = backend::Isa::scalar};
  EXPECT_EQ(run_batched(*make_engine(threads), few), expected);
}

TEST_P(EveryShape, Int8PagesGiveTheSameBitsUnderEveryScheduleAndOthersThanF16) {
  EngineSetup plain = setup();
  plain.cpu.kv_codec = backend::KvCodec::int8;
  plain.options.prefix_cache = false;
  auto engine = make_engine(plain);
  const auto requests = requests_for(*engine, 50);
  const Answers expected = run_alone(*engine, requests);
  auto exact = make_engine(setup());
  EXPECT_LT(2 * engine->layer_page_bytes(), exact->layer_page_bytes() * 11 / 10);
  EXPECT_NE(run_batched(*exact, requests), expected) << "the codec leaves no trace";
  EXPECT_FALSE(engine->model_id() == exact->model_id())
      << "block keys and transfers tell codecs apart by the model id";
  for (const backend::Isa isa : backend::supported_isas())
    for (const std::uint32_t chunk : {16u, 512u}) {
      EngineSetup other = setup();
      other.cpu = {.threads = chunk == 16 ? 2u : 1u, .isa = isa, .kv_codec = backend::KvCodec::int8};
      other.options.chunk = chunk;
      auto batched = make_engine(other);
      EXPECT_EQ(run_batched(*batched, requests), expected) << static_cast<int>(isa) << ", chunk " << chunk;
      const std::uint64_t before = batched->stats().cached_tokens;
      EXPECT_EQ(run_batched(*batched, requests), expected) << static_cast<int>(isa) << ", from the cache";
      EXPECT_GT(batched->stats().cached_tokens, before);
      expect_no_page_held(*batched);
    }
}

TEST(Engine, Int8PagesNeedFastNumerics) {
  const auto made = backend::make_cpu_backend(
      {.threads = 1, .numerics = backend::Numerics::reference, .kv_codec = backend::KvCodec::int8});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Errc::invalid_argument);
}

TEST(Engine, AFullQueueSaysNo) {
  EngineSetup setup;
  setup.options.queue = 2;
  auto engine = make_engine(setup);
  const auto requests = requests_for(*engine, 3);
  EXPECT_TRUE(engine->submit(requests[0]).has_value());
  EXPECT_TRUE(engine->submit(requests[1]).has_value());
  EXPECT_EQ(engine->submit(requests[2]).error().code, Errc::queue_full);
}

TEST(Engine, ADeadlineEndsAStreamWithAnError) {
  ManualClock clock;
  EngineSetup setup;
  setup.clock = &clock;
  auto engine = make_engine(setup);
  Request request = requests_for(*engine, 1)[0];
  request.max_tokens = 50;
  request.deadline = clock.now() + std::chrono::seconds(1);
  ASSERT_TRUE(engine->submit(request).has_value());
  (void)engine->step();
  clock.advance(std::chrono::seconds(2));
  const StepOutput out = engine->step();
  ASSERT_EQ(out.tokens.size(), 1u);
  EXPECT_EQ(out.tokens[0].error->code, Errc::deadline_exceeded);
  EXPECT_FALSE(engine->has_work());
  expect_no_page_held(*engine);
}

TEST(Engine, ADeadlineEndsEveryChoiceOfAWaitingRequest) {
  ManualClock clock;
  EngineSetup setup;
  setup.clock = &clock;
  auto engine = make_engine(setup);
  Request request = requests_for(*engine, 1)[0];
  request.choices = 3;
  request.first_choice = 2;
  request.deadline = clock.now();
  ASSERT_TRUE(engine->submit(request).has_value());
  std::vector<std::uint32_t> choices;
  for (const TokenEvent& event : engine->step().tokens) {
    EXPECT_EQ(event.finish, FinishReason::error);
    choices.push_back(event.choice);
  }
  EXPECT_EQ(choices, (std::vector<std::uint32_t>{2, 3, 4}));
  EXPECT_FALSE(engine->has_work());
}

TEST(Engine, TheLastEventSaysWhenItsChoicePassedItsStages) {
  using std::chrono::seconds;
  ManualClock clock;
  EngineSetup setup;
  setup.clock = &clock;
  setup.options.max_sequences = 1;
  auto engine = make_engine(setup);
  const auto requests = requests_for(*engine, 2);
  const TimePoint start = clock.now();
  std::map<RequestId, StageTimes> times;
  for (Request request : requests) {
    request.choices = 1;
    request.max_tokens = 3;
    if (request.id == requests[1].id) request.arrived = start - seconds(2);
    ASSERT_TRUE(engine->submit(request).has_value());
  }
  while (engine->has_work()) {
    clock.advance(seconds(1));
    for (const TokenEvent& event : engine->step().tokens) {
      EXPECT_EQ(event.times.has_value(), event.finish != FinishReason::none);
      if (event.times) times[event.id] = *event.times;
    }
  }
  const StageTimes& first = times.at(requests[0].id);
  const StageTimes& second = times.at(requests[1].id);
  EXPECT_EQ(first.queued, start);
  EXPECT_EQ(first.admitted, start + seconds(1));
  EXPECT_EQ(first.first_token, start + seconds(1));
  EXPECT_EQ(first.last_token, start + seconds(3));
  EXPECT_EQ(second.queued, start - seconds(2)) << "its caller got it before";
  EXPECT_EQ(second.admitted, start + seconds(4)) << "one runs at a time";
  EXPECT_EQ(second.last_token, start + seconds(6));
  EXPECT_EQ(engine->stats().step_rows.rows, requests[0].prompt.size() + requests[1].prompt.size() + 4);
  EXPECT_EQ(engine->stats().stream_rows, 4u);
  std::uint64_t context = 0;
  for (const Request& request : requests)
    for (std::uint64_t row = 1; row <= request.prompt.size() + 2; ++row) context += row;
  EXPECT_EQ(engine->stats().step_context, context);
}

TEST(Engine, ReportsThePromptsOwnLogprobs) {
  auto engine = make_engine({});
  Request request;
  request.id = {9, 9};
  request.prompt = {3, 4, 5, 6, 7};
  request.max_tokens = 1;
  request.sampling.temperature = 0;
  request.sampling.report_logprobs = true;
  request.prompt_logprobs = true;
  ASSERT_TRUE(engine->submit(request).has_value());
  StepOutput out;
  while (out.tokens.empty()) out = engine->step();
  ASSERT_EQ(out.tokens[0].prompt_tokens.size(), 5u);
  // Each is what a shorter prompt would have said about the next token.
  for (std::size_t i = 1; i < 5; ++i) {
    Request shorter = request;
    shorter.prompt.resize(i);
    shorter.prompt_logprobs = false;
    shorter.sampling.logit_bias = {
        {request.prompt[i], 100.0f}};  // forces the token; logprobs stay those of the model
    ASSERT_TRUE(engine->submit(shorter).has_value());
    Answers answers;
    run(*engine, answers);
    EXPECT_EQ(answers.begin()->second.tokens[0].token, request.prompt[i]);
    EXPECT_EQ(answers.begin()->second.tokens[0].logprob, out.tokens[0].prompt_tokens[i].logprob);
  }
}

TEST(Engine, NeverServesAnotherTenantsBlocks) {
  auto engine = make_engine({});
  Request request;
  request.prompt.assign(100, 5);
  request.max_tokens = 1;
  Answers answers;
  for (const char* tenant : {"a", "b"}) {
    request.id = {7, static_cast<std::uint64_t>(tenant[0])};
    request.tenant = tenant;
    EXPECT_EQ(engine->cached_tokens_for(tenant, request.prompt), 0u);
    ASSERT_TRUE(engine->submit(request).has_value());
    run(*engine, answers);
    EXPECT_EQ(answers.at({request.id, 0}).cached_tokens, 0u);
    EXPECT_EQ(engine->cached_tokens_for(tenant, request.prompt), 96u);
  }
}

TEST(Engine, RefusesAPoolThatHoldsNothingWithBothNumbers) {
  static const SteadyClock clock;
  auto cpu = backend::make_cpu_backend({.threads = 1});
  EngineOptions options;
  options.kv_bytes = 100;
  const auto engine = Engine::create(tiny_model("tiny-llama"),
                                     std::shared_ptr<backend::Backend>(std::move(*cpu)), options, clock);
  ASSERT_FALSE(engine.has_value());
  EXPECT_EQ(engine.error().code, Errc::does_not_fit);
  EXPECT_NE(engine.error().detail.find("100"), std::string::npos);
}

}  // namespace
}  // namespace troupe::engine
