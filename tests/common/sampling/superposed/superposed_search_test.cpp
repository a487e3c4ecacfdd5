// Which drafts a superposed search keeps: by hand over a model of five tokens, and what must hold of any.
#include "common/sampling/superposed/superposed_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace troupe {
namespace {

using Texts = std::vector<std::vector<TokenId>>;

constexpr TokenId kEnd = 4;

SuperposedParams drafts(std::uint32_t count, float alpha, float temperature = 1.0f) {
  SuperposedParams out;
  out.drafts = count;
  out.alpha = alpha;
  out.temperature = temperature;
  out.candidates = 2 * count;
  return out;
}

/// log of probabilities, best first.
std::vector<TokenLogit> row(std::vector<std::pair<TokenId, double>> probabilities) {
  std::stable_sort(probabilities.begin(), probabilities.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<TokenLogit> out;
  for (const auto& [token, p] : probabilities) out.push_back({token, static_cast<float>(std::log(p))});
  return out;
}

Texts texts(const SuperposedSearch& search, std::uint32_t count) {
  Texts out;
  for (const auto& one : search.best(count)) out.push_back(one.tokens);
  return out;
}

double no_ngrams(std::span<const TokenId>, TokenId) {
  ADD_FAILURE() << "n-grams are asked for though they have no weight";
  return 0;
}

/// Two drafts, two steps, four candidates of five tokens, no n-grams.
///
///   step 1: p = .5 .3 .1 .06 .04, of which the best four make .96: drafts 0 and 1, with .5/.96 and .3/.96;
///           the next row is .625 of token 0 and .375 of token 1.
///   step 2: p = .05 .15 .6 .16 .04, of which the best four make .96: 2, 3, 1, 0. Both drafts see the same
///           row: 0 2 (.5 * .6), 1 2 (.3 * .6), 0 3 (.5 * .16) ...: the best two are 0 2 and 1 2.
TEST(SuperposedSearch, TwoStepsByHand) {
  SuperposedSearch search(drafts(2, 0.0f), std::vector<TokenId>{3}, {kEnd}, 2, no_ngrams);
  EXPECT_TRUE(search.mix().empty());
  search.advance(row({{0, 0.5}, {1, 0.3}, {2, 0.1}, {3, 0.06}, {kEnd, 0.04}}));
  const auto mix = search.mix();
  ASSERT_EQ(mix.size(), 2u);
  EXPECT_EQ(mix[0].token, 0);
  EXPECT_NEAR(mix[0].weight, 0.625, 1e-6);
  EXPECT_EQ(mix[1].token, 1);
  EXPECT_NEAR(mix[1].weight, 0.375, 1e-6);
  EXPECT_FALSE(search.done());
  search.advance(row({{0, 0.05}, {1, 0.15}, {2, 0.6}, {3, 0.16}, {kEnd, 0.04}}));
  ASSERT_TRUE(search.done());
  const auto best = search.best(2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].tokens, (std::vector<TokenId>{0, 2}));
  EXPECT_NEAR(best[0].score, std::log(0.5 / 0.96 * 0.6 / 0.96) / 2, 1e-6);
  EXPECT_FALSE(best[0].stopped);
  EXPECT_EQ(best[1].tokens, (std::vector<TokenId>{1, 2}));
  EXPECT_NEAR(best[1].score, std::log(0.3 / 0.96 * 0.6 / 0.96) / 2, 1e-6);
  EXPECT_TRUE(search.mix().empty()) << "there is no further row";
}

/// The same two rows with n-grams of weight .5 that know "0 3" (.4) and "1 2" (.1), and at the prompt all
/// tokens alike (.2): sqrt(p g) decides. Draft 1 2: .3/.96 * .2 * .6/.96 * .1; draft 0 3: .5/.96 * .2 *
/// .16/.96 * .4. These are .00390625 and .00694..: 0 3 is best, though the model alone says 0 2.
TEST(SuperposedSearch, NgramsTellDraftsApart) {
  std::vector<std::vector<TokenId>> asked;
  const auto ngrams = [&](std::span<const TokenId> before, TokenId next) {
    asked.emplace_back(before.begin(), before.end());
    if (before.back() == 3 && before.size() == 1) return 0.2;
    if (before.back() == 0 && next == 3) return 0.4;
    return before.back() == 1 && next == 2 ? 0.1 : 0.0;
  };
  SuperposedSearch search(drafts(2, 0.5f), std::vector<TokenId>{3}, {kEnd}, 2, ngrams);
  search.advance(row({{0, 0.5}, {1, 0.3}, {2, 0.1}, {3, 0.06}, {kEnd, 0.04}}));
  search.advance(row({{0, 0.05}, {1, 0.15}, {2, 0.6}, {3, 0.16}, {kEnd, 0.04}}));
  const auto best = search.best(2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].tokens, (std::vector<TokenId>{0, 3}));
  EXPECT_NEAR(best[0].score, 0.5 * std::log(0.5 / 0.96 * 0.2 * 0.16 / 0.96 * 0.4) / 2, 1e-6);
  EXPECT_EQ(best[1].tokens, (std::vector<TokenId>{1, 2}));
  EXPECT_NEAR(best[1].score, 0.5 * std::log(0.3 / 0.96 * 0.2 * 0.6 / 0.96 * 0.1) / 2, 1e-6);
  EXPECT_EQ(asked.front(), (std::vector<TokenId>{3})) << "the first step sees the prompt";
  EXPECT_EQ(asked.back(), (std::vector<TokenId>{3, 1}));
}

/// A draft that n-grams know nothing of loses 200, and what they rule out comes behind that.
TEST(SuperposedSearch, UnsupportedDraftsStandBehindSupportedOnes) {
  const auto ngrams = [](std::span<const TokenId> before, TokenId next) {
    if (before.size() == 1) return 0.2;
    return before.back() == 1 && next == 3 ? 0.001 : 0.0;
  };
  SuperposedSearch search(drafts(2, 0.5f), std::vector<TokenId>{3}, {kEnd}, 2, ngrams);
  search.advance(row({{0, 0.6}, {1, 0.2}, {2, 0.1}, {3, 0.1}}));
  search.advance(row({{0, 0.7}, {1, 0.1}, {2, 0.1}, {3, 0.1}}));
  const auto best = search.best(2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].tokens, (std::vector<TokenId>{1, 3}));
  EXPECT_EQ(best[1].tokens, (std::vector<TokenId>{0, 0})) << "not 1 0, which they rule out";
  EXPECT_NEAR(best[1].score, (0.5 * std::log(0.6 * 0.2) + 0.5 * std::log(0.7) - 200) / 2, 1e-5);
}

TEST(SuperposedSearch, TheFirstTokensAreTheModelsBest) {
  std::mt19937 random(5);
  for (std::uint32_t count = 1; count <= kMostSuperposed; ++count) {
    std::vector<std::pair<TokenId, double>> p;
    for (TokenId token = 0; token < 60; ++token)
      p.emplace_back(token, 1e-3 + static_cast<double>(random() % 10000));
    const auto best = row(p);
    SuperposedSearch search(drafts(count, 0.0f, 0.06f), std::vector<TokenId>{1}, {}, 1, no_ngrams);
    search.advance(best);
    Texts expected;
    for (std::uint32_t i = 0; i < count; ++i) expected.push_back({best[i].token});
    EXPECT_EQ(texts(search, count), expected) << count;
  }
}

TEST(SuperposedSearch, OneDraftWithoutNgramsIsGreedyAndItsInputItsToken) {
  std::mt19937 random(6);
  for (int round = 0; round < 50; ++round) {
    SuperposedSearch search(drafts(1, 0.0f, 0.06f), std::vector<TokenId>{1}, {kEnd}, 20, no_ngrams);
    std::vector<TokenId> greedy;
    while (!search.done()) {
      std::vector<std::pair<TokenId, double>> p;
      for (TokenId token = 0; token < 30; ++token)
        p.emplace_back(token, 1 + static_cast<double>(random() % 100));
      const auto best = row(p);  // ties among them
      greedy.push_back(best.front().token);
      search.advance(best);
      if (search.done()) break;
      ASSERT_EQ(search.mix().size(), 1u);
      EXPECT_EQ(search.mix()[0].token, greedy.back());
      EXPECT_EQ(search.mix()[0].weight, 1.0f) << "to the bit: the row is that token's";
    }
    const auto best = search.best(1);
    ASSERT_EQ(best.size(), 1u);
    EXPECT_EQ(best[0].tokens, greedy);
    EXPECT_EQ(best[0].stopped, greedy.back() == kEnd);
    EXPECT_TRUE(greedy.back() == kEnd || greedy.size() == 20);
  }
}

TEST(SuperposedSearch, DraftsWithTheSameTokenAddTheirWeights) {
  SuperposedSearch search(drafts(2, 0.0f), std::vector<TokenId>{3}, {kEnd}, 3, no_ngrams);
  search.advance(row({{0, 0.5}, {1, 0.4}, {2, 0.06}, {3, 0.04}}));
  search.advance(row({{0, 0.01}, {1, 0.01}, {2, 0.97}, {3, 0.01}}));
  ASSERT_EQ(search.mix().size(), 1u);
  EXPECT_EQ(search.mix()[0].token, 2);
  EXPECT_NEAR(search.mix()[0].weight, 1.0f, 1e-6f);
}

/// An end among the best two counts and its place is filled by the next best; the search is over when two
/// have ended.
TEST(SuperposedSearch, EndsLeaveTheirPlacesToOthers) {
  SuperposedSearch search(drafts(2, 0.0f), std::vector<TokenId>{3}, {kEnd}, 20, no_ngrams);
  search.advance(row({{kEnd, 0.5}, {0, 0.3}, {1, 0.1}, {2, 0.1}}));
  ASSERT_EQ(search.mix().size(), 2u);
  EXPECT_EQ(search.mix()[0].token, 0);
  EXPECT_EQ(search.mix()[1].token, 1);
  EXPECT_FALSE(search.done());
  search.advance(row({{kEnd, 0.9}, {0, 0.05}, {1, 0.03}, {2, 0.02}}));
  ASSERT_TRUE(search.done());
  const auto best = search.best(2);
  ASSERT_EQ(best.size(), 2u);
  // By mean: log .5, and (log .3 + log .9) / 2 = log .52 of the better of the two that ended in step 2.
  EXPECT_EQ(best[0].tokens, (std::vector<TokenId>{0, kEnd}));
  EXPECT_EQ(best[1].tokens, (std::vector<TokenId>{kEnd}));
  EXPECT_TRUE(best[0].stopped && best[1].stopped);
}

TEST(SuperposedSearch, DefaultsAreThePapersAndValid) {
  for (std::uint32_t count = 1; count <= kMostSuperposed; ++count)
    EXPECT_TRUE(validate(superposed_defaults(count)).has_value()) << count;
  EXPECT_EQ(superposed_defaults(3), (SuperposedParams{3, 0.54f, 0.06f, 9}));
  EXPECT_EQ(superposed_defaults(2), (SuperposedParams{2, 0.62f, 0.06f, 6}));
  EXPECT_EQ(superposed_defaults(4), (SuperposedParams{4, 0.52f, 0.06f, 12}));
  EXPECT_EQ(superposed_defaults(10), (SuperposedParams{10, 0.54f, 0.12f, 30}));
}

TEST(SuperposedSearch, RefusesWhatIsOutOfBoundsByName) {
  const auto named = [](SuperposedParams params, std::string_view field) {
    const auto valid = validate(params);
    return !valid && valid.error().code == Errc::invalid_argument && valid.error().detail.starts_with(field);
  };
  const SuperposedParams good = superposed_defaults(3);
  const auto with = [&](auto change) {
    SuperposedParams params = good;
    change(params);
    return params;
  };
  EXPECT_TRUE(named(with([](auto& p) { p.drafts = 0; }), "drafts"));
  EXPECT_TRUE(named(with([](auto& p) { p.drafts = 17; }), "drafts"));
  EXPECT_TRUE(named(with([](auto& p) { p.alpha = 1.01f; }), "alpha"));
  EXPECT_TRUE(named(with([](auto& p) { p.alpha = std::nanf(""); }), "alpha"));
  EXPECT_TRUE(named(with([](auto& p) { p.temperature = 0; }), "temperature"));
  EXPECT_TRUE(named(with([](auto& p) { p.candidates = 5; }), "candidates"));
  EXPECT_TRUE(named(with([](auto& p) { p.candidates = 129; }), "candidates"));
}

}  // namespace
}  // namespace troupe
