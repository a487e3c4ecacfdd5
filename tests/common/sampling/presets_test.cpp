#include "common/sampling/presets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "common/sampling/candidates.hpp"
#include "common/sampling/sampler.hpp"

namespace troupe {
namespace {

// Probabilities .4 .24 .16 .1 .05 .03 .02 of tokens 0 to 6: a tenth of the best is .04.
const std::vector<double> kModel = {0.4, 0.24, 0.16, 0.1, 0.05, 0.03, 0.02};

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

SamplingParams sharpened() {
  SamplingParams params;
  find_preset("sharpened")->apply(params);
  return params;
}

/// What the preset says of itself, from probabilities alone: squares of those that are a tenth of the best or
/// more.
std::map<TokenId, double> squares(const std::vector<double>& model) {
  const double best = *std::max_element(model.begin(), model.end());
  std::map<TokenId, double> out;
  double sum = 0;
  for (std::size_t i = 0; i < model.size(); ++i) {
    if (model[i] < 0.1 * best) continue;
    sum += out[static_cast<TokenId>(i)] = model[i] * model[i];
  }
  for (auto& [token, p] : out) p /= sum;
  return out;
}

TEST(SamplingPresets, NamesAndTechniquesAreUniqueAndAllAreValid) {
  std::set<std::string_view> names, techniques;
  for (const SamplingPreset& preset : sampling_presets()) {
    EXPECT_TRUE(names.insert(preset.name).second) << preset.name;
    EXPECT_TRUE(techniques.insert(preset.technique).second) << preset.technique;
    EXPECT_EQ(find_preset(preset.name), &preset);
    SamplingParams params;
    preset.apply(params);
    EXPECT_NE(params, SamplingParams{}) << preset.name;
    EXPECT_TRUE(validate(params, 100).has_value()) << preset.name;
  }
  EXPECT_EQ(find_preset("hyperfitted"), nullptr);
}

TEST(SamplingPresets, SharpenedIsTheSquareOverPlausibleTokens) {
  const auto expected = squares(kModel);
  ASSERT_EQ(expected.size(), 5u);
  const std::vector<Candidate> kept = filter_candidates(logits_of(kModel), sharpened());
  double sum = 0;
  for (const Candidate& c : kept) sum += c.weight;
  ASSERT_EQ(kept.size(), expected.size());
  for (const Candidate& c : kept) EXPECT_NEAR(c.weight / sum, expected.at(c.id), 1e-6) << c.id;
}

TEST(SamplingPresets, SharpenedDrawsByThatLaw) {
  const auto expected = squares(kModel);
  const std::vector<float> logits = logits_of(kModel);
  SamplingParams params = sharpened();
  params.seed = 17;
  const TokenHistory history(static_cast<std::uint32_t>(kModel.size()));
  constexpr int kDraws = 20000;
  std::map<TokenId, int> drawn;
  for (int i = 0; i < kDraws; ++i)
    drawn[sample(logits, params, &history, 0, static_cast<std::uint64_t>(i)).token] += 1;
  double chi = 0;
  for (const auto& [token, count] : drawn) {
    ASSERT_TRUE(expected.contains(token)) << token << " is not plausible";
    const double mean = expected.at(token) * kDraws;
    chi += (count - mean) * (count - mean) / mean;
  }
  EXPECT_EQ(drawn.size(), expected.size());
  EXPECT_LT(chi, 23.5) << "4 degrees of freedom: one in 10,000";
}

/// After "3 4 5 3 4" token 5 would repeat a run of two: its logit loses 0.8 before anything is squared.
TEST(SamplingPresets, SharpenedKeepsAwayFromRepetition) {
  TokenHistory history(static_cast<std::uint32_t>(kModel.size()));
  for (const TokenId token : {3, 4, 5, 3, 4}) history.add_answer(token);
  std::vector<double> model = {0.05, 0.05, 0.05, 0.05, 0.05, 0.45, 0.3};
  const std::vector<float> logits = logits_of(model);
  model[5] *= std::exp(-0.8);  // .2022: token 6 is ahead now
  const auto expected = squares(model);
  SamplingParams params = sharpened();
  constexpr int kDraws = 20000;
  int repeats = 0;
  for (int i = 0; i < kDraws; ++i)
    repeats += sample(logits, params, &history, 0, static_cast<std::uint64_t>(i)).token == 5;
  const double p = expected.at(5);
  EXPECT_NEAR(repeats, p * kDraws, 5 * std::sqrt(p * (1 - p) * kDraws));
  params.temperature = 0;
  EXPECT_EQ(sample(logits, params, &history, 0, 0).token, 6);
}

}  // namespace
}  // namespace troupe
