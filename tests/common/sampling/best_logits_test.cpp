// sample_best() draws from few logits what sample() draws from all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/sampling/sampler.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

std::vector<TokenLogit> best_of(const std::vector<float>& logits, std::uint32_t count) {
  std::vector<TokenLogit> all;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i])) all.push_back({static_cast<TokenId>(i), logits[i]});
  std::sort(all.begin(), all.end(),
            [](const TokenLogit& a, const TokenLogit& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; });
  if (all.size() > count) all.resize(count);
  return all;
}

TEST(BestLogits, DecideTheSameTokenUnderEverySetting) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  std::uint64_t seed = 0;
  for (const std::uint32_t vocab : {130u, 3000u}) {
    std::vector<std::vector<float>> rows = {random_logits(vocab, 1, 4.0f), random_logits(vocab, 2, 2.0f), std::vector<float>(vocab, 0.25f),
                                            std::vector<float>(vocab, kNone), std::vector<float>(vocab, NAN)};
    for (std::size_t i = 0; i < vocab; ++i) {
      rows[1][i] = std::round(rows[1][i]);  // many ties
      if (i % 5 == 0) rows[1][i] = i % 2 == 0 ? NAN : kNone;
    }
    rows.push_back(rows[0]);
    rows.back()[vocab / 2] = -kNone;
    rows.push_back(std::vector<float>(vocab, NAN));
    rows.back()[7] = kNone;
    for (const std::vector<float>& logits : rows)
      for (const float temperature : {0.0f, 1e-4f, 0.7f, 1.0f, 5.0f})
        for (const std::uint32_t top_k : {1u, 2u, 40u, 128u})
          for (const float top_p : {1.0f, 0.9f, 0.3f})
            for (const float min_p : {0.0f, 0.05f})
              for (const float typical_p : {1.0f, 0.8f})
                for (int repeat = 0; repeat < 4; ++repeat) {
                  SamplingParams params;
                  params.temperature = temperature, params.top_k = top_k, params.top_p = top_p, params.min_p = min_p;
                  params.typical_p = typical_p, params.seed = ++seed;
                  const std::uint32_t needed = best_needed(params, vocab, 128);
                  ASSERT_EQ(needed, temperature > 0 ? top_k : 1u);
                  const auto choice = static_cast<std::uint32_t>(seed % 3);
                  ASSERT_EQ(sample_best(best_of(logits, needed), params, choice, seed % 1000),
                            sample(logits, params, nullptr, choice, seed % 1000))
                      << "temperature " << temperature << ", top_k " << top_k << ", top_p " << top_p << ", row "
                      << &logits - rows.data();
                }
  }
}

TEST(BestLogits, DecideTheSameTokenUnderXtcAndADynamicTemperature) {
  std::uint64_t seed = 0;
  std::size_t changed = 0;
  const std::vector<float> logits = random_logits(3000, 3, 2.0f);
  for (const float temperature : {0.3f, 1.0f, 1.5f})
    for (const std::uint32_t top_k : {1u, 2u, 40u, 128u})
      for (const float top_p : {1.0f, 0.9f})
        for (const float xtc : {0.0f, 0.5f, 1.0f})
          for (const float range : {0.0f, 0.2f, 2.0f})
            for (int repeat = 0; repeat < 6; ++repeat) {
              SamplingParams params;
              params.temperature = temperature, params.top_k = top_k, params.top_p = top_p, params.seed = ++seed;
              const TokenId plain = sample(logits, params, nullptr, 1, seed).token;
              params.xtc_probability = xtc, params.xtc_threshold = 0.03f;
              params.dynatemp_range = range, params.dynatemp_exponent = 1.5f;
              ASSERT_EQ(best_needed(params, 3000, 128), top_k);
              const GeneratedToken whole = sample(logits, params, nullptr, 1, seed);
              ASSERT_EQ(sample_best(best_of(logits, top_k), params, 1, seed), whole) << "seed " << seed;
              changed += whole.token != plain ? 1 : 0;
            }
  EXPECT_GT(changed, 100u);
}

TEST(BestLogits, AreNotEnoughWhereAnythingLooksAtOthers) {
  const auto needed = [](auto change) {
    SamplingParams params;
    params.top_k = 20;
    change(params);
    return best_needed(params, 1000, 128);
  };
  EXPECT_EQ(needed([](SamplingParams&) {}), 20u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = 0; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = 129; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = 0, p.min_p = 0.1f; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = 0, p.temperature = 0; }), 1u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.logit_bias = {{3, 1.0f}}; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.repetition_penalty = 1.1f; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.frequency_penalty = 0.1f; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.presence_penalty = 0.1f; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_n_sigma = 1; }), 0u) << "sigma is that of all";
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_n_sigma = 1, p.temperature = 0; }), 1u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.dry.multiplier = 1; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.report_logprobs = true; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.logprobs = 1; }), 0u);
  EXPECT_EQ(needed([](SamplingParams& p) { p.temperature = 0, p.logprobs = 1; }), 0u);
  SamplingParams params;
  params.top_k = 20;
  EXPECT_EQ(best_needed(params, 20, 128), 0u) << "top-k of the whole vocabulary is no filter";
}

}  // namespace
}  // namespace troupe
