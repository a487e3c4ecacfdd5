// Prompts that become vectors: the same bits whatever the batch, the chunks, the cache and preemption, and
// the states that the model's runner gives.
#include <cmath>

#include "common/engine/hidden_pool.hpp"
#include "common/engine/model_runner.hpp"
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

using Vectors = std::map<RequestId, std::vector<float>>;

std::vector<TokenId> prompt(std::uint64_t salt, std::size_t tokens) {
  std::mt19937_64 random(salt);
  std::vector<TokenId> out(tokens);
  for (TokenId& token : out) token = static_cast<TokenId>(random() % 100);
  return out;
}

Request text(std::uint64_t id, std::vector<TokenId> tokens, Pooling pooling = Pooling::mean) {
  Request request;
  request.id = {3, id};
  request.prompt = std::move(tokens);
  request.max_tokens = 0;
  request.pooling = pooling;
  return request;
}

std::vector<Request> texts(Pooling pooling) {
  std::vector<Request> out;
  for (const std::size_t tokens : {1, 2, 15, 16, 17, 63, 64, 65, 130, 200})
    out.push_back(text(out.size(), prompt(tokens, tokens), pooling));
  return out;
}

void collect(const StepOutput& out, Vectors& vectors) {
  for (const TokenEvent& event : out.tokens) {
    if (event.vector.empty()) continue;
    EXPECT_EQ(event.finish, FinishReason::stop);
    EXPECT_TRUE(event.tokens.empty());
    EXPECT_TRUE(vectors.emplace(event.id, event.vector).second) << "a vector came twice";
  }
}

Vectors run(Engine& engine, const std::vector<Request>& requests, bool alone = false) {
  Vectors vectors;
  for (const Request& request : requests) {
    EXPECT_TRUE(engine.submit(request).has_value());
    while (alone && engine.has_work()) collect(engine.step(), vectors);
  }
  while (engine.has_work()) collect(engine.step(), vectors);
  return vectors;
}

/// What the runner says of one prompt, computed in one pass.
std::vector<float> by_hand(const std::string& shape, const Request& request) {
  auto backend = backend::make_cpu_backend({.threads = 1});
  EXPECT_TRUE(backend.has_value());
  auto runner =
      ModelRunner::create(tiny_model(shape), std::shared_ptr<backend::Backend>(std::move(*backend)), 256, 8);
  EXPECT_TRUE(runner.has_value());
  const auto count = static_cast<std::uint32_t>(request.prompt.size());
  StepBatch batch;
  const std::uint32_t sequence = batch.add_sequence({0, 1, 2, 3});
  for (std::uint32_t i = 0; i < count; ++i) {
    batch.state_rows.push_back(static_cast<std::int32_t>(i));
    batch.add_row(sequence, request.prompt[i], i, i, i, false);
  }
  HiddenPool pool(request.pooling, count, tiny_model(shape)->config().width);
  const bool whole = (*runner)->forward(batch, {}, {}, {}, [&](std::size_t i, std::span<const float> state) {
    pool.take(static_cast<std::uint32_t>(i), state);
  });
  EXPECT_TRUE(whole);
  return pool.vector();
}

class EnginePool : public ::testing::TestWithParam<const char*> {};

TEST_P(EnginePool, VectorsAreThoseOfTheStatesWhateverTheBatchAndTheChunks) {
  for (const Pooling pooling : {Pooling::mean, Pooling::last}) {
    const auto requests = texts(pooling);
    EngineSetup setup;
    setup.shape = GetParam();
    const auto whole = make_engine(setup);
    const Vectors alone = run(*whole, requests, true);
    ASSERT_EQ(alone.size(), requests.size());
    for (const Request& request : requests) {
      EXPECT_EQ(alone.at(request.id), by_hand(GetParam(), request)) << request.prompt.size() << " tokens";
      double squares = 0;
      for (const float value : alone.at(request.id)) squares += double{value} * value;
      EXPECT_NEAR(squares, 1, 1e-5);
    }
    EXPECT_EQ(run(*whole, requests), alone) << "in one batch, with the prefix cache warm";
    setup.options.token_budget = 24;
    setup.options.chunk = 7;
    EXPECT_EQ(run(*make_engine(setup), requests), alone) << "in chunks";
  }
}

std::string shape_name(const ::testing::TestParamInfo<const char*>& shape) {
  return std::string(shape.param).substr(5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, EnginePool, ::testing::Values("tiny-llama", "tiny-gemma3"), shape_name);

TEST(EnginePoolBatches, StreamsBesideThemChangeNothingAndAreNotChanged) {
  const auto requests = texts(Pooling::mean);
  const auto streams = mixed_requests(12, 100);
  const Vectors alone = run(*make_engine({}), requests, true);
  const Answers undisturbed = run_batched(*make_engine({}), streams);
  EngineSetup setup;
  setup.options.token_budget = 64;
  const auto engine = make_engine(setup);
  Vectors vectors;
  Answers answers;
  for (std::size_t i = 0; i < std::max(requests.size(), streams.size()); ++i) {
    if (i < requests.size()) {
      EXPECT_TRUE(engine->submit(requests[i]).has_value());
    }
    if (i < streams.size()) {
      EXPECT_TRUE(engine->submit(streams[i]).has_value());
    }
  }
  while (engine->has_work()) {
    StepOutput out = engine->step();
    collect(out, vectors);
    std::erase_if(out.tokens, [](const TokenEvent& event) { return !event.vector.empty(); });
    collect(out, answers);
  }
  EXPECT_EQ(vectors, alone);
  EXPECT_EQ(answers, undisturbed);
}

TEST(EnginePoolBatches, OneThatGaveWayGivesTheSameVector) {
  std::vector<Request> requests;
  for (std::uint64_t id = 1; id <= 4; ++id) requests.push_back(text(id, prompt(id, 200)));
  const Vectors alone = run(*make_engine({}), requests, true);
  EngineSetup setup;
  setup.options.kv_bytes = 8 * page_bytes(tiny_model("tiny-llama")->config(), backend::DType::f16);
  setup.options.token_budget = 32;
  for (const auto policy : {PreemptionPolicy::recompute, PreemptionPolicy::swap}) {
    setup.options.preemption = policy;
    setup.options.swap_bytes = 16u << 20;
    const auto engine = make_engine(setup);
    Vectors vectors;
    for (const Request& request : requests) ASSERT_TRUE(engine->submit(request).has_value());
    for (int step = 0; step < 9; ++step) collect(engine->step(), vectors);
    // One of high priority takes pages of those that are under way.
    Request stream;
    stream.id = {9, 9};
    stream.prompt = prompt(9, 300);
    stream.max_tokens = 20;
    stream.priority = 5;
    ASSERT_TRUE(engine->submit(stream).has_value());
    while (engine->has_work()) collect(engine->step(), vectors);
    EXPECT_EQ(vectors, alone);
    EXPECT_GT(engine->stats().preemptions, 0u);
  }
}

TEST(EnginePoolBatches, ItsPagesServeLaterPromptsAndLastTokensTakeThem) {
  const auto engine = make_engine({});
  const auto tokens = prompt(5, 130);
  std::vector<Request> requests{text(1, tokens)};
  (void)run(*engine, requests);
  EXPECT_GE(engine->cached_tokens_for("default", tokens), 128u);
  const std::uint64_t before = engine->stats().prompt_tokens;
  (void)run(*engine, {text(2, tokens, Pooling::last)});
  EXPECT_LE(engine->stats().prompt_tokens - before, 16u);
}

TEST(EnginePoolBatches, RefusesWhatDrawsTokens) {
  const auto engine = make_engine({});
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request request = text(1, prompt(1, 20));
    change(request);
    const auto done = engine->submit(request);
    return !done && done.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = 1; }));
  EXPECT_TRUE(refused([](Request& r) { r.choices = 2; }));
  EXPECT_TRUE(refused([](Request& r) { r.resumed_tokens = 3; }));
  EXPECT_TRUE(refused([](Request& r) { r.prompt_logprobs = true; }));
  EXPECT_FALSE(refused([](Request&) {}));
}

TEST(EnginePoolBatches, ACancelledOneLeavesNothing) {
  EngineSetup setup;
  setup.options.token_budget = 16;
  const auto engine = make_engine(setup);
  ASSERT_TRUE(engine->submit(text(1, prompt(1, 100))).has_value());
  (void)engine->step();
  engine->cancel({3, 1});
  EXPECT_FALSE(engine->has_work());
  EXPECT_EQ(engine->stats().running, 0u);
}

}  // namespace
}  // namespace troupe::engine
