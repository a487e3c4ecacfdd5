// Bias and penalties, and the bounds of every field.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>

#include "common/sampling/sampler.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

TEST(Penalties, EqualTheirDefinitionOnRandomHistories) {
  std::mt19937 rng(31);
  constexpr std::size_t kTokens = 200;
  for (int round = 0; round < 300; ++round) {
    const auto logits = random_logits(kTokens, static_cast<std::uint32_t>(rng()), 2.0f);
    SamplingParams params;
    params.seed = rng();
    if (round % 2 == 0) params.repetition_penalty = 0.5f + 0.25f * static_cast<float>(rng() % 8);
    if (round % 3 != 0) params.frequency_penalty = -2.0f + 0.5f * static_cast<float>(rng() % 9);
    if (round % 5 != 0) params.presence_penalty = -2.0f + 0.5f * static_cast<float>(rng() % 9);
    for (std::uint32_t i = rng() % 4; i > 0; --i) {
      params.logit_bias.emplace_back(static_cast<TokenId>(rng() % kTokens), static_cast<float>(rng() % 5) - 2.0f);
    }
    TokenHistory history(kTokens);
    std::map<std::size_t, int> prompt, answer;
    for (int i = 0; i < 60; ++i) {
      const auto token = static_cast<TokenId>(rng() % 40);
      if (rng() % 2 == 0) {
        history.add_prompt(token), ++prompt[static_cast<std::size_t>(token)];
      } else {
        history.add_answer(token), ++answer[static_cast<std::size_t>(token)];
      }
    }
    std::vector<float> expected = logits;
    for (const auto& [token, bias] : params.logit_bias) expected[static_cast<std::size_t>(token)] += bias;
    for (std::size_t t = 0; t < kTokens; ++t) {
      if (prompt.contains(t) || answer.contains(t)) {
        expected[t] = expected[t] > 0 ? expected[t] / params.repetition_penalty : expected[t] * params.repetition_penalty;
      }
      if (!answer.contains(t)) continue;
      expected[t] -= static_cast<float>(answer[t]) * params.frequency_penalty;
      expected[t] -= params.presence_penalty;
    }
    SamplingParams plain;
    plain.seed = params.seed;
    const auto position = static_cast<std::uint64_t>(round);
    EXPECT_EQ(sample(logits, params, &history, 0, position).token, sample(expected, plain, nullptr, 0, position).token);
    params.temperature = 0.0f;
    const auto best = std::max_element(expected.begin(), expected.end()) - expected.begin();
    EXPECT_EQ(sample(logits, params, &history, 0, position).token, best) << "round " << round;
  }
}

TEST(Penalties, AlternativesComeBestFirstAndTiesByLowerId) {
  const std::vector<float> logits{1.0f, 2.0f, 3.0f, 2.0f, 3.0f, 2.0f, -1.0f};
  const GeneratedToken token = report(logits, 6, 5);
  std::vector<TokenId> ids;
  for (const TokenLogprob& entry : token.top) ids.push_back(entry.token);
  EXPECT_EQ(ids, (std::vector<TokenId>{2, 4, 1, 3, 5}));
  double total = 0;
  for (const float x : logits) total += std::exp(static_cast<double>(x));
  EXPECT_NEAR(token.logprob, -1.0 - std::log(total), 1e-5);
  EXPECT_EQ(report(logits, 6, 20).top.size(), 7U);
}

TEST(Validation, EveryFieldHasItsBounds) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  struct Row {
    const char* field;
    float SamplingParams::*member;
    std::vector<float> good, bad;
    const char* bounds;
  };
  const std::vector<Row> rows{
      {"temperature", &SamplingParams::temperature, {0, 1, 100}, {-0.5f, 100.5f}, "at least 0 and at most 100"},
      {"top_p", &SamplingParams::top_p, {0.001f, 1}, {0, -1, 1.5f}, "above 0 and at most 1"},
      {"min_p", &SamplingParams::min_p, {0, 0.5f, 1}, {-0.5f, 1.5f}, "at least 0 and at most 1"},
      {"typical_p", &SamplingParams::typical_p, {0.001f, 1}, {0, 1.5f}, "above 0 and at most 1"},
      {"repetition_penalty", &SamplingParams::repetition_penalty, {0.1f, 100}, {0, 101}, "above 0 and at most 100"},
      {"frequency_penalty", &SamplingParams::frequency_penalty, {-2, 0, 2}, {-2.5f, 2.5f}, "at least -2 and at most 2"},
      {"presence_penalty", &SamplingParams::presence_penalty, {-2, 0, 2}, {-2.5f, 2.5f}, "at least -2 and at most 2"},
  };
  for (const Row& row : rows) {
    SamplingParams params;
    for (const float value : row.good) {
      params.*row.member = value;
      EXPECT_TRUE(validate(params, 10)) << row.field << " " << value;
    }
    std::vector<float> bad = row.bad;
    bad.insert(bad.end(), {kInf, -kInf, std::nanf("")});
    for (const float value : bad) {
      params.*row.member = value;
      const auto result = validate(params, 10);
      ASSERT_FALSE(result) << row.field << " " << value;
      EXPECT_EQ(result.error().code, Errc::invalid_argument);
      EXPECT_EQ(result.error().detail.find(std::string(row.field) + " is "), 0U) << result.error().detail;
      EXPECT_NE(result.error().detail.find(row.bounds), std::string::npos) << result.error().detail;
    }
  }
}

TEST(Validation, ListsHaveTheirBounds) {
  SamplingParams params;
  params.logprobs = 20;
  params.logit_bias.assign(1024, {9, -100.0f});
  EXPECT_TRUE(validate(params, 10));
  params.logit_bias.emplace_back(0, 0.0f);
  ASSERT_FALSE(validate(params, 10));
  EXPECT_NE(validate(params, 10).error().detail.find("1025 entries, may have at most 1024"), std::string::npos);
  params.logit_bias = {{10, 0.0f}};
  ASSERT_FALSE(validate(params, 10));
  EXPECT_NE(validate(params, 10).error().detail.find("token 10"), std::string::npos);
  params.logit_bias = {{3, std::nanf("")}};
  EXPECT_FALSE(validate(params, 10));
  params.logit_bias.clear();
  params.logprobs = 21;
  EXPECT_FALSE(validate(params, 10));
}

}  // namespace
}  // namespace troupe
