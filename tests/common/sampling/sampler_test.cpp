#include "common/sampling/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "common/sampling/philox.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

template <class Change>
SamplingParams changed(Change change) {
  SamplingParams params;
  change(params);
  return params;
}

TokenId draw(std::span<const float> logits, const SamplingParams& params, std::uint64_t position, std::uint32_t choice = 0) {
  return sample(logits, params, nullptr, choice, position).token;
}

// The sampler as its definition reads: full sorts, libm, no short cuts.
std::vector<TokenId> naive_kept(std::span<const float> logits, const SamplingParams& p) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto logit = [&](TokenId t) { return logits[static_cast<std::size_t>(t)]; };
  const auto better = [&](TokenId a, TokenId b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; };
  std::sort(ids.begin(), ids.end(), better);
  if (p.top_k > 0 && p.top_k < ids.size()) ids.resize(p.top_k);
  const auto probabilities = [&] {
    std::vector<double> out;
    double sum = 0;
    for (const TokenId t : ids) out.push_back(std::exp((static_cast<double>(logit(t)) - logit(ids[0])) / p.temperature));
    for (const double x : out) sum += x;
    for (double& x : out) x /= sum;
    return out;
  };
  const auto keep_mass = [&](std::vector<std::pair<double, TokenId>> order, const std::map<TokenId, double>& mass, double target) {
    std::sort(order.begin(), order.end());
    double sum = 0;
    ids.clear();
    for (const auto& [key, t] : order) {
      ids.push_back(t);
      if ((sum += mass.at(t)) >= target) break;
    }
    std::sort(ids.begin(), ids.end(), better);
  };
  if (p.typical_p < 1.0f) {
    const auto prob = probabilities();
    double entropy = 0;
    for (const double x : prob) entropy -= x > 0 ? x * std::log(x) : 0.0;
    std::vector<std::pair<double, TokenId>> order;
    std::map<TokenId, double> mass;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      order.emplace_back(std::fabs(-std::log(prob[i]) - entropy), ids[i]);
      mass[ids[i]] = prob[i];
    }
    keep_mass(order, mass, p.typical_p);
  }
  if (p.top_p < 1.0f) {
    const auto prob = probabilities();
    std::vector<std::pair<double, TokenId>> order;
    std::map<TokenId, double> mass;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      order.emplace_back(static_cast<double>(i), ids[i]);
      mass[ids[i]] = prob[i];
    }
    keep_mass(order, mass, p.top_p);
  }
  if (p.min_p > 0.0f) {
    const auto prob = probabilities();
    std::vector<TokenId> kept;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (prob[i] >= static_cast<double>(p.min_p) * prob[0]) kept.push_back(ids[i]);
    }
    ids = kept;
  }
  return ids;
}

TokenId naive_draw(std::span<const float> logits, const SamplingParams& p, std::uint32_t choice, std::uint64_t position) {
  double best = -1e300;
  TokenId winner = -1;
  for (const TokenId t : naive_kept(logits, p)) {
    const double u = uniform_draw(p.seed, choice, position, DrawPurpose::sample, t);
    const double score = static_cast<double>(logits[static_cast<std::size_t>(t)]) / static_cast<double>(p.temperature) -
                         std::log(-std::log(u));
    if (score > best || (score == best && t < winner)) best = score, winner = t;
  }
  return winner;
}

TEST(Sampler, TemperatureZeroTakesTheLowestIdOfTheBest) {
  const std::vector<float> logits{0.0f, 3.0f, 1.0f, 3.0f};
  SamplingParams params;
  params.temperature = 0.0f;
  params.top_p = 0.5f;
  for (std::uint64_t position = 0; position < 20; ++position) EXPECT_EQ(draw(logits, params, position), 1);
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  const std::vector<float> logits{1.0f, 0.0f, -1.0f, 2.0f, 0.5f, -3.0f, 1.5f, 0.25f};
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    SamplingParams params;
    params.temperature = temperature;
    params.seed = 99;
    constexpr int kDraws = 40000;
    std::vector<int> counts(logits.size());
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(draw(logits, params, static_cast<std::uint64_t>(i)))];
    double total = 0, chi = 0;
    for (const float x : logits) total += std::exp(x / temperature);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double expected = kDraws * std::exp(logits[i] / temperature) / total;
      chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi, 24.3) << "7 degrees of freedom, p = 0.001, temperature " << temperature;
  }
}

TEST(Sampler, EqualsItsDefinitionUnderEveryFilter) {
  std::mt19937 rng(7);
  const float top_ps[] = {1.0f, 0.95f, 0.5f, 0.01f};
  const float min_ps[] = {0.0f, 0.05f, 0.5f};
  const float typicals[] = {1.0f, 0.9f, 0.2f};
  const std::uint32_t top_ks[] = {0, 1, 5, 40, 100000};
  const float temperatures[] = {1.0f, 0.3f, 1.7f, 0.0005f};
  for (int round = 0; round < 1500; ++round) {
    const std::size_t vocab = 1 + rng() % 1500;
    std::vector<float> logits = random_logits(vocab, static_cast<std::uint32_t>(rng()), static_cast<float>(1 + rng() % 4));
    if (round % 5 == 0) {
      for (float& x : logits) x = std::round(x);  // many ties
    }
    SamplingParams params;
    params.seed = rng();
    params.temperature = temperatures[rng() % 4];
    params.top_k = top_ks[rng() % 5];
    params.top_p = top_ps[rng() % 4];
    params.min_p = min_ps[rng() % 3];
    params.typical_p = round % 5 == 0 ? 1.0f : typicals[rng() % 3];
    const std::uint64_t position = rng();
    EXPECT_EQ(draw(logits, params, position, 2), naive_draw(logits, params, 2, position)) << "round " << round;
  }
}

TEST(Sampler, SkippingBlocksNeverLosesTheWinner) {
  SamplingParams params;
  for (std::uint32_t round = 0; round < 60; ++round) {
    const auto logits = random_logits(round % 2 == 0 ? 4096 : 5000, round, static_cast<float>(round % 7) + 0.1f);
    params.seed = round;
    params.temperature = round % 3 == 0 ? 0.05f : 1.0f;
    EXPECT_EQ(draw(logits, params, round), naive_draw(logits, params, 0, round));
  }
}

TEST(Sampler, ChoicesPositionsAndSeedsDrawDifferently) {
  const auto logits = random_logits(1000, 3, 0.1f);
  SamplingParams params;
  std::map<TokenId, int> by_choice, by_position, by_seed;
  for (std::uint32_t i = 0; i < 50; ++i) {
    ++by_choice[draw(logits, params, 0, i)];
    ++by_position[draw(logits, params, i)];
    params.seed = i;
    ++by_seed[draw(logits, params, 0)];
    params.seed = 0;
  }
  EXPECT_GT(by_choice.size(), 40U);
  EXPECT_GT(by_position.size(), 40U);
  EXPECT_GT(by_seed.size(), 40U);
}

TEST(Sampler, SharedNoiseCouplesNearDistributions) {
  const std::vector<float> p{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const std::vector<float> q{std::log(0.2f), std::log(0.3f), std::log(0.5f)};
  SamplingParams params;
  int equal = 0;
  constexpr int kDraws = 20000;
  for (std::uint64_t i = 0; i < kDraws; ++i) equal += draw(p, params, i) == draw(q, params, i) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(equal) / kDraws, 0.631, 0.012);  // independent draws would agree at 0.29
}

TEST(Sampler, BiasForbidsAndForces) {
  const auto logits = random_logits(500, 5, 2.0f);
  SamplingParams params;
  params.logit_bias = {{17, 100.0f}};
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(draw(logits, params, i), 17);
  params.temperature = 0.0f;
  const TokenId best = draw(logits, changed([](auto& p) { p.temperature = 0.0f; }), 0);
  params.logit_bias = {{best, -100.0f}};
  EXPECT_NE(draw(logits, params, 0), best);
}

TEST(Sampler, PenaltiesLookAtPromptAndAnswer) {
  const std::vector<float> logits{2.0f, 1.9f, 1.0f, -1.0f};
  TokenHistory history(4);
  SamplingParams params;
  params.temperature = 0.0f;
  const auto greedy = [&] { return sample(logits, params, &history, 0, 0).token; };
  history.add_prompt(0);
  params.frequency_penalty = 1.0f;
  EXPECT_EQ(greedy(), 0) << "frequency counts the answer only";
  params.frequency_penalty = 0.0f;
  params.repetition_penalty = 1.5f;
  EXPECT_EQ(greedy(), 1) << "2 / 1.5 is below 1.9";
  history.add_answer(1);
  EXPECT_EQ(greedy(), 0);
  params.repetition_penalty = 1.0f;
  params.presence_penalty = 0.5f;
  EXPECT_EQ(greedy(), 0);
  history.add_answer(0);
  history.add_answer(0);
  params.frequency_penalty = 0.3f;  // 0: 2 - 0.6 - 0.5, 1: 1.9 - 0.3 - 0.5
  EXPECT_EQ(greedy(), 1);
  history.remove_answer(1);
  history.add_answer(2);
  EXPECT_EQ(history.answer_count(1), 0U);
  EXPECT_FALSE(history.seen(1));
  EXPECT_EQ(history.distinct().size(), 2U);
}

TEST(Sampler, ReportsTheUnmodifiedSoftmax) {
  const auto logits = random_logits(3000, 11, 3.0f);
  SamplingParams params;
  params.temperature = 0.2f;
  params.logit_bias = {{7, 50.0f}};
  params.report_logprobs = true;
  params.logprobs = 5;
  const GeneratedToken token = sample(logits, params, nullptr, 0, 0);
  EXPECT_EQ(token.token, 7);
  double total = 0;
  for (const float x : logits) total += std::exp(static_cast<double>(x));
  EXPECT_NEAR(token.logprob, static_cast<double>(logits[7]) - std::log(total), 1e-5);
  ASSERT_EQ(token.top.size(), 5U);
  std::vector<float> sorted = logits;
  std::sort(sorted.rbegin(), sorted.rend());
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(logits[static_cast<std::size_t>(token.top[i].token)], sorted[i]);
    EXPECT_NEAR(token.top[i].logprob, static_cast<double>(sorted[i]) - std::log(total), 1e-5);
  }
  EXPECT_EQ(report(logits, 7, 5), token);
}

TEST(Sampler, SurvivesInfiniteAndEqualLogits) {
  const float low = -std::numeric_limits<float>::infinity();
  SamplingParams params;
  EXPECT_EQ(draw(std::vector<float>{low, low, 0.5f, low}, params, 1), 2);
  params.top_p = 0.9f;
  EXPECT_EQ(draw(std::vector<float>{low, low, 0.5f, low}, params, 1), 2);
  params.typical_p = 0.9f;
  EXPECT_EQ(draw(std::vector<float>{low, 0.5f}, params, 1), 1);
  params.top_k = 2;
  EXPECT_EQ(draw(std::vector<float>{low, low, low}, params, 1), 0);
}

TEST(Sampler, ValidationNamesTheFieldAndItsBounds) {
  SamplingParams params;
  EXPECT_TRUE(validate(params, 10));
  const auto refused = [](const SamplingParams& p) {
    const auto result = validate(p, 10);
    return result ? std::string() : result.error().detail;
  };
  EXPECT_NE(refused(changed([](auto& p) { p.temperature = -1.0f; })).find("temperature is -1"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.temperature = std::nanf(""); })).find("temperature"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.top_p = 0.0f; })).find("top_p is 0"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.repetition_penalty = 0.0f; })).find("repetition_penalty"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.frequency_penalty = 2.5f; })).find("2.5"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.logit_bias = {{10, 1.0f}}; })).find("token 10"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.logit_bias = {{-1, 1.0f}}; })).find("token -1"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.logit_bias = {{1, 101.0f}}; })).find("logit_bias is 101"), std::string::npos);
  EXPECT_NE(refused(changed([](auto& p) { p.logprobs = 21; })).find("logprobs is 21"), std::string::npos);
}

TEST(Sampler, StreamsEqualTheCommittedOnesOnEveryMachine) {
  // Written by this code. Logits come from integers only, so that every machine starts from the same numbers.
  std::vector<float> logits(49152);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(philox4x32_10({static_cast<std::uint32_t>(i), 0, 0, 0}, {5, 6})[0] >> 8U) * 0x1p-20f - 8.0f;
  }
  std::uint64_t mix = 0;
  for (std::uint64_t position = 0; position < 24; ++position) {
    SamplingParams params;
    params.seed = position * 77;
    params.temperature = position % 4 == 0 ? 0.4f : 1.0f;
    if (position % 3 == 1) params.top_p = 0.9f;
    if (position % 5 == 1) params.top_k = 50;
    if (position % 7 == 1) params.typical_p = 0.8f;
    params.report_logprobs = true;
    const GeneratedToken token = sample(logits, params, nullptr, 1, position);
    mix = mix * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(token.token);
    mix = mix * 0x9E3779B97F4A7C15ULL + std::bit_cast<std::uint32_t>(token.logprob);
  }
  EXPECT_EQ(mix, 0xce907c62a30695a1ULL) << std::hex << mix;
}

}  // namespace
}  // namespace troupe
