// Streams over cached prefixes and forked choices: the same with shared pages attended to once and one by one.
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

/// A tree of prompts: a common system prompt, two continuations of it, an end of its own for each; every fourth in two choices.
std::vector<Request> prompt_tree(std::uint32_t vocab) {
  const auto token = [vocab](std::size_t i, std::size_t salt) { return static_cast<TokenId>((i * i * 7 + i * 13 + salt * 31) % vocab); };
  std::vector<Request> requests;
  for (std::size_t r = 0; r < 8; ++r) {
    Request request;
    request.id = {3, r + 1};
    for (std::size_t i = 0; i < 150; ++i) request.prompt.push_back(token(i, 1));
    for (std::size_t i = 0; i < 70; ++i) request.prompt.push_back(token(i, 2 + r % 2));
    for (std::size_t i = 0; i < 5 + 9 * r; ++i) request.prompt.push_back(token(i, 10 + r));
    request.max_tokens = 24;
    request.choices = r % 4 == 3 ? 2 : 1;
    request.sampling.seed = r;
    request.sampling.report_logprobs = true;
    requests.push_back(std::move(request));
  }
  return requests;
}

/// The first prompt fills the cache; the others start together from what they find there.
Answers run_tree(Engine& engine) {
  std::vector<Request> requests = prompt_tree(engine.model().config().vocab);
  Answers answers;
  EXPECT_TRUE(engine.submit(requests[0]).has_value());
  run(engine, answers);
  requests.erase(requests.begin());
  answers.merge(run_batched(engine, requests));
  return answers;
}

TEST(SharedPrefix, StreamsAreTheSameWithAndWithoutHydragen) {
  for (const char* shape : {"tiny-llama", "tiny-gemma3", "tiny-qwen3"})
    for (const std::uint32_t threads : {1u, 2u}) {
      EngineSetup setup;
      setup.shape = shape;
      setup.cpu.threads = threads;
      setup.options.hydragen = false;
      const Answers apart = run_tree(*make_engine(setup));
      setup.options.hydragen = true;
      const Answers together = run_tree(*make_engine(setup));
      EXPECT_EQ(apart, together) << shape << ", threads " << threads;
      ASSERT_EQ(together.size(), 10u);
      for (const auto& [key, answer] : together) {
        EXPECT_EQ(answer.finish, FinishReason::length);
        // At least the two whole pages of the system prompt are shared with the first request.
        if (key.first != RequestId{3, 1}) {
          EXPECT_GE(answer.cached_tokens, 128u) << shape;
        }
      }
    }
}

TEST(SharedPrefix, StreamsAreTheSameWhateverJoinsAndLeavesTheGroup) {
  EngineSetup setup;
  const auto engine = make_engine(setup);
  const std::vector<Request> requests = prompt_tree(engine->model().config().vocab);
  const Answers alone = run_alone(*engine, requests);
  Answers staggered;
  for (const Request& request : requests) {
    ASSERT_TRUE(engine->submit(request).has_value());
    for (int i = 0; i < 4; ++i) collect(engine->step(), staggered);
  }
  run(*engine, staggered);
  EXPECT_EQ(alone, staggered);
}

}  // namespace
}  // namespace troupe::engine
