#pragma once
// Engines over tiny random models, and runs of requests through them.
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "common/base/hash.hpp"
#include "common/engine/engine.hpp"
#include "tests/support/shaped_model.hpp"

namespace troupe::engine {

/// A tiny model of a shape, made once per process.
inline std::shared_ptr<const Model> tiny_model(const std::string& shape, gguf::TensorType type = gguf::TensorType::q4_1) {
  static std::map<std::string, std::shared_ptr<const Model>> made;
  auto& model = made[shape + std::to_string(static_cast<int>(type))];
  if (model != nullptr) return model;
  const auto path = std::filesystem::temp_directory_path() / ("troupe-" + shape + "-" + std::to_string(::getpid()) + ".gguf");
  const auto written = write_shaped_model(shape, type, 11, path);
  EXPECT_TRUE(written.has_value()) << (written ? "" : to_string(written.error()));
  auto loaded = Model::load(path);
  EXPECT_TRUE(loaded.has_value()) << (loaded ? "" : to_string(loaded.error()));
  std::filesystem::remove(path);  // the mapping keeps it
  return model = *loaded;
}

struct EngineSetup {
  std::string shape = "tiny-llama";
  EngineOptions options = [] {
    EngineOptions o;
    o.kv_bytes = 64u << 20;
    return o;
  }();
  backend::CpuOptions cpu = {.threads = 1};
  const Clock* clock = nullptr;
};

inline std::unique_ptr<Engine> make_engine(const EngineSetup& setup) {
  static const SteadyClock steady;
  auto made = backend::make_cpu_backend(setup.cpu);
  EXPECT_TRUE(made.has_value());
  auto engine = Engine::create(tiny_model(setup.shape), std::shared_ptr<backend::Backend>(std::move(*made)), setup.options,
                               setup.clock != nullptr ? *setup.clock : steady);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : to_string(engine.error()));
  return std::move(*engine);
}

/// An answer as it left the engine, choice by choice.
struct Answer {
  std::vector<GeneratedToken> tokens;
  FinishReason finish = FinishReason::none;
  std::uint32_t cached_tokens = 0;
  bool operator==(const Answer& other) const { return tokens == other.tokens && finish == other.finish; }  // caching aside
};
using Answers = std::map<std::pair<RequestId, std::uint32_t>, Answer>;

inline void collect(const StepOutput& out, Answers& answers) {
  for (const TokenEvent& event : out.tokens) {
    Answer& answer = answers[{event.id, event.choice}];
    EXPECT_EQ(event.first_index, answer.tokens.size());
    EXPECT_EQ(answer.finish, FinishReason::none) << "an event after the end";
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    answer.finish = event.finish;
    answer.cached_tokens = event.cached_tokens;
  }
}

inline void run(Engine& engine, Answers& answers, int max_steps = 100000) {
  for (int i = 0; engine.has_work() && i < max_steps; ++i) collect(engine.step(), answers);
  EXPECT_FALSE(engine.has_work());
}

/// `count` requests of mixed length and sampling; a third share a prefix. Deterministic.
inline std::vector<Request> mixed_requests(std::size_t count, std::uint32_t vocab, std::uint32_t longest = 200) {
  std::mt19937_64 random(7);
  const auto below = [&](std::uint64_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  std::vector<TokenId> shared(longest);
  for (TokenId& token : shared) token = static_cast<TokenId>(below(vocab));
  std::vector<Request> requests;
  for (std::size_t i = 0; i < count; ++i) {
    static constexpr std::uint32_t kLengths[] = {1, 2, 15, 16, 17, 40, 63, 64, 65, 120, 180, 200};
    Request request;
    request.id = {1, i + 1};
    const std::uint32_t length = std::min(kLengths[below(std::size(kLengths))], longest);
    if (i % 3 == 0) request.prompt.assign(shared.begin(), shared.begin() + static_cast<std::ptrdiff_t>(length - 1));
    while (request.prompt.size() < length) request.prompt.push_back(static_cast<TokenId>(below(vocab)));
    request.max_tokens = 1 + below(20);
    SamplingParams& s = request.sampling;
    s.seed = i;
    switch (i % 5) {
      case 0: s.temperature = 0; break;
      case 1: s.top_p = 0.9f; break;
      case 2: s.temperature = 0.7f, s.top_k = 20, s.repetition_penalty = 1.1f; break;
      case 3: s.temperature = 1.3f, s.min_p = 0.05f, s.frequency_penalty = 0.5f; break;
      default: s.typical_p = 0.9f, s.presence_penalty = 0.3f, request.choices = 2; break;
    }
    s.report_logprobs = i % 2 == 0;
    s.logprobs = i % 4 == 0 ? 2 : 0;
    requests.push_back(std::move(request));
  }
  return requests;
}

inline Answers run_batched(Engine& engine, const std::vector<Request>& requests) {
  Answers answers;
  for (const Request& request : requests) {
    while (true) {
      auto done = engine.submit(request);
      if (done) break;
      EXPECT_EQ(done.error().code, Errc::queue_full);
      collect(engine.step(), answers);
    }
  }
  run(engine, answers);
  return answers;
}

inline Answers run_alone(Engine& engine, const std::vector<Request>& requests) {
  Answers answers;
  for (const Request& request : requests) {
    EXPECT_TRUE(engine.submit(request).has_value());
    run(engine, answers);
  }
  return answers;
}

inline std::string digest_of(const Answers& answers) {
  Hasher hasher;
  for (const auto& [key, answer] : answers) {
    hasher.id(key.first).number(key.second).number(static_cast<std::uint64_t>(answer.finish));
    for (const GeneratedToken& token : answer.tokens) {
      hasher.number(static_cast<std::uint64_t>(token.token)).bytes(std::as_bytes(std::span(&token.logprob, 1)));
      for (const TokenLogprob& top : token.top)
        hasher.number(static_cast<std::uint64_t>(top.token)).bytes(std::as_bytes(std::span(&top.logprob, 1)));
    }
  }
  return to_hex(hasher.finish<BlockKey>());
}

}  // namespace troupe::engine
