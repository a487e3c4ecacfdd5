// The sampler at the size of a real vocabulary against the plain reading of its definition.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "common/sampling/philox.hpp"
#include "common/sampling/sampler.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

constexpr std::size_t kVocab = 49152;

// Arg-max over every token, noise by uniform_draw and libm.
TokenId exhaustive(std::span<const float> logits, double temperature, std::uint64_t seed, std::uint32_t choice,
                   std::uint64_t position) {
  double best = -std::numeric_limits<double>::infinity();
  TokenId winner = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const double u = uniform_draw(seed, choice, position, DrawPurpose::sample, token);
    const double value = static_cast<double>(logits[i]) / temperature - std::log(-std::log(u));
    if (value > best) best = value, winner = token;
  }
  return winner;
}

TEST(SamplerDefinition, LeavingOutNoiseNeverChangesTheDraw) {
  const float temperatures[] = {0.0005f, 0.05f, 0.7f, 1.0f, 3.0f};
  const float spreads[] = {0.01f, 1.0f, 3.0f, 12.0f};
  std::map<TokenId, int> drawn;
  for (std::uint32_t round = 0; round < 200; ++round) {
    std::vector<float> logits = random_logits(kVocab - round % 3, round, spreads[round % 4]);
    const float shift = round % 7 == 6 ? 5000.0f : 0.0f;  // a large common part costs float digits of the bound
    for (float& x : logits) x += shift;
    SamplingParams params;
    params.seed = round * 0x9E3779B97F4A7C15ULL;
    params.temperature = temperatures[round % 5];
    const TokenId token = sample(logits, params, nullptr, round % 4, round * 1000).token;
    ASSERT_EQ(token, exhaustive(logits, params.temperature, params.seed, round % 4, round * 1000)) << "round " << round;
    ++drawn[token];
  }
  EXPECT_GT(drawn.size(), 190U);
}

TEST(SamplerDefinition, AnImpossibleTokenDoesNotChangeTheDraw) {
  for (std::uint32_t round = 0; round < 100; ++round) {
    std::vector<float> logits = random_logits(1000, round, 1.0f);
    SamplingParams params;
    params.seed = round;
    if (round % 2 == 1) params.top_p = 0.9f;
    if (round % 3 == 1) params.top_k = 100;
    const TokenId before = sample(logits, params, nullptr, 0, round).token;
    logits.push_back(-std::numeric_limits<float>::infinity());
    logits.push_back(-1e30f);
    EXPECT_EQ(sample(logits, params, nullptr, 0, round).token, before);
    // Nor does taking a loser's chance away, where no filter depends on it.
    const auto loser = static_cast<std::size_t>((before + 1) % 1000);
    logits[loser] = -std::numeric_limits<float>::infinity();
    params.top_p = 1.0f;
    params.top_k = 0;
    std::vector<float> whole = random_logits(1000, round, 1.0f);
    const TokenId plain = sample(whole, params, nullptr, 0, round).token;
    if (static_cast<std::size_t>(plain) != loser) {
      EXPECT_EQ(sample(logits, params, nullptr, 0, round).token, plain);
    }
  }
}

TEST(SamplerDefinition, SmallVocabulariesFollowTheirSoftmax) {
  // Chi-square at p = 0.001 by degrees of freedom.
  const std::map<std::size_t, double> limits{{2, 10.83}, {3, 13.82}, {5, 18.47}, {17, 39.25}};
  for (const auto& [vocab, limit] : limits) {
    const auto logits = random_logits(vocab, static_cast<std::uint32_t>(vocab), 1.0f);
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x));
    SamplingParams params;
    params.seed = 20;
    std::vector<double> counts(vocab);
    constexpr int kDraws = 30000;
    for (std::uint64_t i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sample(logits, params, nullptr, 1, i).token)];
    double chi = 0;
    for (std::size_t i = 0; i < vocab; ++i) {
      const double expected = kDraws * std::exp(static_cast<double>(logits[i])) / total;
      chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi, limit) << vocab << " tokens";
  }
}

// Integers to logits without libm, so that every machine starts from the same numbers.
std::vector<float> exact_logits(std::uint32_t row) {
  std::vector<float> logits(2000);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const PhiloxBlock words = philox4x32_10({static_cast<std::uint32_t>(i), row, 0, 0}, {1, 2});
    logits[i] = static_cast<float>((words[0] >> 12U) + (words[1] >> 12U) + (words[2] >> 12U)) * 0x1p-18f - 6.0f;
  }
  return logits;
}

// Written by this code, and by the sorting sampler before it.
TEST(SamplerDefinition, AThousandDrawsEqualTheCommittedDigest) {
  std::uint64_t mix = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto logits = exact_logits(i / 10);
    SamplingParams params;
    params.seed = i * 0x9E3779B97F4A7C15ULL;
    params.temperature = i % 6 == 5 ? 0.0f : 0.25f * static_cast<float>(1 + i % 6);
    if (i % 2 == 1) params.top_p = 0.9f;
    if (i % 3 == 1) params.top_k = 40;
    if (i % 5 == 1) params.min_p = 0.02f;
    if (i % 7 == 1) params.typical_p = 0.8f;
    const TokenId token = sample(logits, params, nullptr, i % 4, i).token;
    mix = (mix ^ static_cast<std::uint64_t>(token)) * 0x9E3779B97F4A7C15ULL;
    mix ^= mix >> 32U;
  }
  EXPECT_EQ(mix, 0x1be4b441143fb83bULL) << std::hex << mix;
}

}  // namespace
}  // namespace troupe
