#include "common/sampling/dry.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "common/sampling/sampler.hpp"
#include "tests/common/sampling/random_logits.hpp"

namespace troupe {
namespace {

using Penalties = std::vector<std::pair<TokenId, float>>;

DryParams dry_of(float multiplier, float base, std::uint32_t allowed_length) {
  DryParams dry;
  dry.multiplier = multiplier, dry.base = base, dry.allowed_length = allowed_length;
  return dry;
}

TEST(Dry, WhatFollowedALongerRunLosesMore) {
  // 7 8 9 stood before 1, and 8 9 before 2.
  const std::vector<TokenId> tokens{7, 8, 9, 1, 5, 8, 9, 2, 7, 8, 9};
  EXPECT_EQ(dry_penalties(tokens, dry_of(1, 2, 2)), (Penalties{{1, 2.0f}, {2, 1.0f}}));
  EXPECT_EQ(dry_penalties(tokens, dry_of(1, 2, 3)), (Penalties{{1, 1.0f}}));
  EXPECT_EQ(dry_penalties(tokens, dry_of(1, 2, 4)), Penalties{});
  EXPECT_EQ(dry_penalties(tokens, dry_of(0, 2, 2)), Penalties{});
}

TEST(Dry, LooksNoFurtherBackThanAskedFor) {
  const std::vector<TokenId> tokens{7, 8, 9, 1, 5, 8, 9, 2, 7, 8, 9};
  DryParams dry = dry_of(1, 2, 2);
  dry.last_n = 8;
  EXPECT_EQ(dry_penalties(tokens, dry), (Penalties{{2, 1.0f}}));
  dry.last_n = 0;
  EXPECT_EQ(dry_penalties(tokens, dry), Penalties{});
}

TEST(Dry, NoRunReachesOverABreaker) {
  const std::vector<TokenId> tokens{7, 8, 9, 1, 5, 7, 8, 9};
  DryParams dry = dry_of(1, 2, 2);
  EXPECT_EQ(dry_penalties(tokens, dry), (Penalties{{1, 2.0f}}));
  dry.breakers = {7};
  EXPECT_EQ(dry_penalties(tokens, dry), (Penalties{{1, 1.0f}})) << "8 9 is left";
  dry.breakers = {8};
  EXPECT_EQ(dry_penalties(tokens, dry), Penalties{});
  dry.breakers.clear();
  dry.breaker_runs = {{7, 8}};
  EXPECT_EQ(dry_penalties(tokens, dry), Penalties{});
  dry.breaker_runs = {{7, 9}, {9, 1}};
  EXPECT_EQ(dry_penalties(tokens, dry), (Penalties{{1, 2.0f}})) << "none of these stands at the end";
  dry.breaker_runs = {{5, 7}};
  EXPECT_EQ(dry_penalties(tokens, dry), (Penalties{{1, 1.0f}}));
}

TEST(Dry, PenaltiesStayFiniteHoweverLongTheRun) {
  const std::vector<TokenId> tokens(4000, 3);
  const Penalties found = dry_penalties(tokens, dry_of(5, 10, 0));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(std::isfinite(found[0].second));
}

TEST(Dry, IsTakenOffBeforeTheDrawAndNeedsTheHistory) {
  SamplingParams params;
  params.temperature = 0;
  params.dry = dry_of(1, 2, 2);
  EXPECT_TRUE(needs_history(params));
  EXPECT_EQ(best_needed(params, 1000, 128), 0u);
  TokenHistory history(16);
  for (const TokenId token : {7, 8, 9, 1}) history.add_prompt(token);
  for (const TokenId token : {5, 7, 8, 9}) history.add_answer(token);
  std::vector<float> logits(16, 0.0f);
  logits[1] = 3.0f, logits[4] = 1.5f;
  EXPECT_EQ(sample(logits, params, &history, 0, 8).token, 4) << "3 - 2 is below 1.5";
  params.dry.last_n = 0;
  EXPECT_FALSE(needs_history(params));
  EXPECT_EQ(sample(logits, params, &history, 0, 8).token, 1);
}

TEST(History, PenaltiesSeeTheLastTokensAsIfThereWereNoOthers) {
  std::mt19937 rng(5);
  for (const std::int32_t window : {0, 1, 5, 30}) {
    TokenHistory history(50, window);
    std::vector<std::pair<TokenId, bool>> all;
    for (int i = 0; i < 80; ++i) {
      const auto token = static_cast<TokenId>(rng() % 12);
      const bool answer = i > 20;
      answer ? history.add_answer(token) : history.add_prompt(token);
      all.emplace_back(token, answer);
      TokenHistory fresh(50);
      const std::size_t count = std::min(all.size(), static_cast<std::size_t>(window));
      for (std::size_t k = all.size() - count; k < all.size(); ++k)
        all[k].second ? fresh.add_answer(all[k].first) : fresh.add_prompt(all[k].first);
      EXPECT_EQ(history.distinct().size(), fresh.distinct().size());
      SamplingParams params;
      params.repetition_penalty = 1.5f, params.frequency_penalty = 0.5f, params.presence_penalty = 0.25f;
      params.seed = rng();
      const auto logits = random_logits(50, static_cast<std::uint32_t>(rng()), 2.0f);
      ASSERT_EQ(sample(logits, params, &history, 0, 3).token, sample(logits, params, &fresh, 0, 3).token);
    }
    EXPECT_EQ(history.tokens().size(), 80u) << "DRY has a window of its own";
  }
}

TEST(Dry, ItsBoundsAreChecked) {
  const auto error_of = [](auto change) {
    SamplingParams params;
    change(params);
    const auto valid = validate(params, 10);
    return valid ? std::string() : valid.error().detail;
  };
  EXPECT_EQ(error_of([](SamplingParams&) {}), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.multiplier = -1; }).find("dry_multiplier is -1"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.base = 0.5f; }).find("dry_base is 0.5"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.last_n = -2; }).find("dry_penalty_last_n is -2"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.repeat_last_n = -2; }).find("repeat_last_n is -2"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_n_sigma = -1; }).find("top_n_sigma is -1"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.xtc_probability = 1.5f; }).find("xtc_probability is 1.5"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dynatemp_range = -1; }).find("dynatemp_range is -1"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.breakers = {5, 3}; }).find("dry_sequence_breakers"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.breaker_runs = {{}}; }).find("dry_sequence_breakers"), 0u);
  EXPECT_EQ(error_of([](SamplingParams& p) { p.dry.breaker_runs.assign(5000, {1}); }).find("dry_sequence_breakers"), 0u);
}

}  // namespace
}  // namespace troupe
