#include "common/sampling/candidates.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/sampling/order.hpp"
#include "common/sampling/sampler.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

// Every filter alone, as its paper defines it: the probability of each token, in double, by libm.
struct Naive {
  std::vector<double> probability;
  std::vector<TokenId> order;  // best first

  Naive(std::span<const float> logits, double temperature) : probability(logits.size()), order(logits.size()) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
      return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    const double top = static_cast<double>(logits[static_cast<std::size_t>(order[0])]);
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) sum += probability[i] = std::exp((logits[i] - top) / temperature);
    for (double& p : probability) p /= sum;
  }
  [[nodiscard]] double of(TokenId token) const { return probability[static_cast<std::size_t>(token)]; }
  [[nodiscard]] std::vector<TokenId> until_mass(std::vector<TokenId> tokens, double mass) const {
    double sum = 0;
    std::size_t keep = 0;
    while (keep < tokens.size() && sum < mass) sum += of(tokens[keep++]);
    tokens.resize(keep);
    return tokens;
  }
  [[nodiscard]] std::vector<TokenId> typical(double mass) const {
    double entropy = 0;
    for (const double p : probability) entropy -= p > 0 ? p * std::log(p) : 0;
    std::vector<TokenId> tokens = order;
    std::sort(tokens.begin(), tokens.end());
    const auto deviance = [&](TokenId t) { return std::fabs(-std::log(of(t)) - entropy); };
    std::stable_sort(tokens.begin(), tokens.end(), [&](TokenId a, TokenId b) { return deviance(a) < deviance(b); });
    return until_mass(tokens, mass);
  }
};

std::vector<TokenId> ids_of(std::span<const float> logits, const SamplingParams& params) {
  std::vector<TokenId> ids;
  for (const Candidate& c : filter_candidates(logits, params)) ids.push_back(c.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<TokenId> sorted(std::vector<TokenId> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

class EachFilter : public testing::TestWithParam<std::tuple<std::size_t, float, float>> {
 protected:
  EachFilter() {
    const auto [vocab, spread, temperature] = GetParam();
    logits_ = random_logits(vocab, static_cast<std::uint32_t>(vocab), spread);
    params_.temperature = temperature;
  }
  std::vector<float> logits_;
  SamplingParams params_;
};

TEST_P(EachFilter, TopKKeepsTheBestK) {
  const Naive naive(logits_, params_.temperature);
  for (const std::uint32_t k : {1U, 2U, 7U, 40U, 1500U, 4999U}) {
    params_.top_k = k;
    std::vector<TokenId> expected = naive.order;
    expected.resize(std::min<std::size_t>(k, expected.size()));
    EXPECT_EQ(ids_of(logits_, params_), sorted(expected)) << k;
  }
}

TEST_P(EachFilter, TopPKeepsTheShortestBestPrefixWithTheMass) {
  const Naive naive(logits_, params_.temperature);
  for (const float p : {0.001f, 0.1f, 0.5f, 0.9f, 0.999f}) {
    params_.top_p = p;
    EXPECT_EQ(ids_of(logits_, params_), sorted(naive.until_mass(naive.order, p))) << p;
  }
}

TEST_P(EachFilter, MinPKeepsWhatIsNotFarBelowTheBest) {
  const Naive naive(logits_, params_.temperature);
  for (const float p : {1e-30f, 1e-4f, 0.05f, 0.5f, 1.0f}) {
    params_.min_p = p;
    std::vector<TokenId> expected;
    for (const TokenId t : naive.order) {
      if (naive.of(t) >= static_cast<double>(p) * naive.of(naive.order[0])) expected.push_back(t);
    }
    EXPECT_EQ(ids_of(logits_, params_), sorted(expected)) << p;
  }
}

TEST_P(EachFilter, TypicalKeepsTheTokensNearestTheEntropy) {
  const Naive naive(logits_, params_.temperature);
  for (const float p : {0.01f, 0.2f, 0.5f, 0.9f, 0.99f}) {
    params_.typical_p = p;
    EXPECT_EQ(ids_of(logits_, params_), sorted(naive.typical(p))) << p;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EachFilter,
                         testing::Combine(testing::Values(1, 2, 63, 1000, 5000), testing::Values(0.05f, 1.0f, 6.0f),
                                          testing::Values(0.3f, 1.0f, 2.5f)));

TEST(Candidates, OfEqualLogitsTheLowerIdsStay) {
  const std::vector<float> logits(3000, 1.0f);
  SamplingParams params;
  params.top_k = 3;
  EXPECT_EQ(ids_of(logits, params), (std::vector<TokenId>{0, 1, 2}));
  params.top_k = 0;
  params.top_p = 0.0009f;  // 2.7 tokens
  EXPECT_EQ(ids_of(logits, params), (std::vector<TokenId>{0, 1, 2}));
}

TEST(Candidates, LongListsSortLikeShortOnes) {
  for (const std::size_t size : {1024U, 1025U, 6000U}) {
    std::vector<Candidate> list;
    const auto logits = random_logits(size, 4, 3.0f);
    for (std::size_t i = 0; i < size; ++i) {
      float logit = i % 2 == 0 ? logits[i] : std::round(logits[i]);  // every other one has equals, some of them -0
      if (i % 97 == 0) logit = -kInfinity;
      list.push_back({.id = static_cast<TokenId>((i * 2657) % size * 1000), .logit = logit});  // ids in no order
    }
    std::vector<Candidate> expected = list;
    std::sort(expected.begin(), expected.end(), better);
    sort_best_first(list);
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(list[i].id, expected[i].id) << i << " of " << size;
  }
}

TEST(Candidates, NoNumberIsTooOddForAFilter) {
  std::vector<SamplingParams> all(5);
  all[0].top_k = 2000;
  all[1].top_p = 0.9f;
  all[2].min_p = 0.1f;
  all[3].typical_p = 0.9f;
  all[4].temperature = 2.0f;
  std::vector<float> holes = random_logits(3000, 8, 1.0f);
  for (std::size_t i = 0; i < holes.size(); i += 3) holes[i] = kNan;
  for (std::size_t i = 1; i < holes.size(); i += 3) holes[i] = -kInfinity;
  std::vector<float> endless = holes;
  endless[1234] = kInfinity;
  for (const SamplingParams& params : all) {
    for (std::uint64_t position = 0; position < 20; ++position) {
      EXPECT_EQ(sample(holes, params, nullptr, 0, position).token % 3, 2) << "only these may be drawn";
      EXPECT_EQ(sample(endless, params, nullptr, 0, position).token, 1234);
    }
    EXPECT_EQ(sample(std::vector<float>(2000, kNan), params, nullptr, 0, 0).token, 0);
    EXPECT_EQ(sample(std::vector<float>(2000, -kInfinity), params, nullptr, 0, 0).token, 0);
  }
}

}  // namespace
}  // namespace troupe
