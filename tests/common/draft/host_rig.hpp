#pragma once
// Draft hosts over tiny random models.
#include "common/draft/draft_host.hpp"
#include "tests/common/engine/rig.hpp"

namespace troupe::draft {

using Tokens = std::vector<TokenId>;

inline std::unique_ptr<DraftHost> make_host(const std::string& shape, HostOptions options = {},
                                            std::uint32_t pages = 200) {
  auto cpu = backend::make_cpu_backend({.threads = 1});
  EXPECT_TRUE(cpu.has_value());
  const auto model = engine::tiny_model(shape);
  options.kv_bytes = pages * engine::page_bytes(model->config(), (*cpu)->kv_dtype());
  auto host = DraftHost::create(model, std::shared_ptr<backend::Backend>(std::move(*cpu)), options);
  EXPECT_TRUE(host.has_value()) << (host ? "" : to_string(host.error()));
  return std::move(*host);
}

/// What the engine itself answers greedily.
inline Tokens greedy(const std::string& shape, const Tokens& text, std::uint32_t count) {
  engine::EngineSetup setup;
  setup.shape = shape;
  auto engine = engine::make_engine(setup);
  engine::Request request;
  request.id = {1, 1};
  request.prompt = text;
  request.max_tokens = count;
  request.sampling.temperature = 0;
  const engine::Answers answers = engine::run_alone(*engine, {request});
  Tokens tokens;
  for (const GeneratedToken& token : answers.at({request.id, 0}).tokens) tokens.push_back(token.token);
  return tokens;
}

inline Tokens text_of(std::uint64_t seed, std::size_t length, std::uint32_t vocab = 256) {
  std::mt19937_64 random(seed);
  Tokens text(length);
  for (TokenId& token : text) token = static_cast<TokenId>(random() % vocab);
  return text;
}

inline Tokens tokens_of(const speculation::DraftAnswer& answer) {
  Tokens tokens;
  for (const speculation::Guess& guess : answer.guesses) tokens.push_back(guess.token);
  return tokens;
}

}  // namespace troupe::draft
