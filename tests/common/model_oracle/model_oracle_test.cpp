// What the models say, compared with oracles that share nothing with Troupe. The reference path multiplies in float32 and must
// agree everywhere; the fast path quantises activations and must stay within the bars below.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/engine/model_runner.hpp"

namespace troupe::engine {
namespace {

using nlohmann::json;

std::filesystem::path models_folder() {
  if (const char* folder = std::getenv("TROUPE_MODELS")) return folder;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return (cache != nullptr && *cache != '\0' ? std::filesystem::path(cache) : std::filesystem::path(home ? home : "/") / ".cache") /
         "troupe/models";
}

json read_golden(const char* name) {
  std::ifstream in(std::filesystem::path("tests/golden") / name);
  return json::parse(in);
}

std::unique_ptr<ModelRunner> open(const std::filesystem::path& file, backend::Numerics numerics) {
  auto model = Model::load(file);
  EXPECT_TRUE(model.has_value()) << (model ? "" : to_string(model.error()));
  auto cpu = backend::make_cpu_backend({.numerics = numerics});
  auto runner = ModelRunner::create(*model, std::shared_ptr<backend::Backend>(std::move(*cpu)), 256, 16);
  EXPECT_TRUE(runner.has_value()) << (runner ? "" : to_string(runner.error()));
  return std::move(*runner);
}

/// Logits of every position, in chunks of 256 rows.
void run(ModelRunner& runner, const std::vector<TokenId>& tokens,
         const std::function<void(std::size_t position, std::span<const float>)>& visit) {
  std::vector<std::uint32_t> pages;
  for (std::uint32_t page = 0; page * 64 < tokens.size(); ++page) pages.push_back(page);
  for (std::size_t begin = 0; begin < tokens.size(); begin += 256) {
    StepBatch batch;
    const std::uint32_t sequence = batch.add_sequence(pages);
    for (std::size_t at = begin; at < std::min(begin + 256, tokens.size()); ++at) {
      const auto index = static_cast<std::uint32_t>(at);
      batch.add_row(sequence, tokens[at], index, index, index, true);
    }
    ASSERT_TRUE(runner.forward(batch, {}, [&](std::size_t i, std::span<const float> logits) { visit(begin + i, logits); }));
  }
}

struct Agreement {
  std::size_t positions = 0, decided = 0, same_top = 0, same_decided = 0;
  double worst_relative = 0;  ///< over the golden top 8, relative to the logit range
  double kl = 0;              ///< mean of KL(oracle || ours) over the golden top 8, the rest of the mass as one bin
};

TokenId best_of(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - peak);
  return peak + std::log(sum);
}

void compare(const json& row, std::span<const float> logits, Agreement& total) {
  const std::vector<int> ids = row["ids"];
  const std::vector<double> golden = row["logits"];
  const double range = row["range"], lse = row["lse"], own_lse = log_sum_exp(logits);
  const bool same = best_of(logits) == ids[0];
  const bool decided = golden[0] - golden[1] > 1e-3 * range;
  total.positions += 1;
  total.decided += decided;
  total.same_top += same;
  total.same_decided += same && decided;
  double left = 1, own_left = 1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const double own = logits[static_cast<std::size_t>(ids[i])];
    total.worst_relative = std::max(total.worst_relative, std::abs(own - golden[i]) / range);
    const double p = std::exp(golden[i] - lse), q = std::exp(own - own_lse);
    total.kl += p * std::log(p / q);
    left -= p;
    own_left -= q;
  }
  if (left > 1e-9) total.kl += left * std::log(left / std::max(own_left, 1e-9));
}

Agreement agreement(ModelRunner& runner, const json& golden) {
  Agreement total;
  for (const json& prompt : golden["prompts"]) {
    const std::vector<TokenId> tokens = prompt["tokens"];
    run(runner, tokens, [&](std::size_t position, std::span<const float> logits) { compare(prompt["rows"][position], logits, total); });
  }
  total.kl /= static_cast<double>(total.positions);
  std::printf("[          ] %zu positions: top-1 equal at %zu, at %zu of %zu decided ones; worst %.2e of the range; KL %.5f\n",
              total.positions, total.same_top, total.same_decided, total.decided, total.worst_relative, total.kl);
  return total;
}

/// exp of the mean of -log p(next token) over the golden prompts.
double perplexity(ModelRunner& runner, const json& golden) {
  double nats = 0;
  std::size_t count = 0;
  for (const json& prompt : golden["prompts"]) {
    const std::vector<TokenId> tokens = prompt["tokens"];
    run(runner, tokens, [&](std::size_t position, std::span<const float> logits) {
      if (position + 1 == tokens.size()) return;
      nats += log_sum_exp(logits) - logits[static_cast<std::size_t>(tokens[position + 1])];
      ++count;
    });
  }
  return std::exp(nats / static_cast<double>(count));
}

struct Case {
  const char* name;
  const char* file;
  const char* golden;
  double fast_kl;  ///< bar for the fast path, about twice what is measured
};

class ModelOracle : public ::testing::TestWithParam<Case> {
 protected:
  std::filesystem::path model() const { return models_folder() / GetParam().file; }
  void SetUp() override {
    if (!std::filesystem::exists(model())) GTEST_SKIP() << model() << " is absent";
  }
};

// Rounding alone makes 3e-6; a norm's epsilon wrong by a tenth makes 8e-5, a window short by one token 4e-3.
constexpr double kReferenceBar = 3e-5;
constexpr double kFastTopOneBar = 0.93;

TEST_P(ModelOracle, TheReferencePathAgreesAtEveryPosition) {
  const auto runner = open(model(), backend::Numerics::reference);
  const Agreement found = agreement(*runner, read_golden(GetParam().golden));
  EXPECT_EQ(found.same_decided, found.decided);
  EXPECT_LE(found.worst_relative, kReferenceBar);
}

TEST_P(ModelOracle, TheFastPathStaysWithinItsBars) {
  const auto runner = open(model(), backend::Numerics::fast);
  const Agreement found = agreement(*runner, read_golden(GetParam().golden));
  EXPECT_LE(found.kl, GetParam().fast_kl);
  EXPECT_GE(static_cast<double>(found.same_top) / static_cast<double>(found.positions), kFastTopOneBar);
}

// The reference path has the oracle's logits (above), so it has its perplexity.
TEST_P(ModelOracle, TheFastPathKeepsThePerplexityWithinHalfAPercent) {
  const json golden = read_golden(GetParam().golden);
  const double expected = perplexity(*open(model(), backend::Numerics::reference), golden);
  const double found = perplexity(*open(model(), backend::Numerics::fast), golden);
  std::printf("[          ] perplexity %.4f, reference %.4f, ratio %.5f\n", found, expected, found / expected);
  EXPECT_NEAR(found / expected, 1.0, 0.005);
}

INSTANTIATE_TEST_SUITE_P(Models, ModelOracle,
                         ::testing::Values(Case{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "logits_smollm2.json", 0.001},
                                           Case{"gemma3", "gemma-3-270m.Q4_K_M.gguf", "logits_gemma3.json", 0.0003}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(ModelSentence, TheReferencePathAnswersWithTheOraclesSentence) {
  const auto file = models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const auto runner = open(file, backend::Numerics::reference);
  const json golden = read_golden("logits_smollm2.json");
  std::vector<TokenId> tokens = golden["prompts"][0]["tokens"];
  const std::vector<TokenId> expected = golden["greedy"];
  ASSERT_EQ(expected, (std::vector<TokenId>{504, 3575, 282, 4649, 314, 7042, 30, 2}));
  for (const TokenId next : expected) {
    TokenId best = -1;
    run(*runner, tokens, [&](std::size_t position, std::span<const float> logits) {
      if (position + 1 == tokens.size()) best = best_of(logits);
    });
    EXPECT_EQ(best, next);
    tokens.push_back(next);
  }
}

}  // namespace
}  // namespace troupe::engine
