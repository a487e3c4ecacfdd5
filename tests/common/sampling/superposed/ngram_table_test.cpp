#include "common/sampling/superposed/ngram_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace troupe {
namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 20U;

double score(const NgramTable& table, const std::vector<TokenId>& before, TokenId next) {
  const NgramTable* one = &table;
  return ngram_score({&one, 1}, before, next);
}

TEST(NgramTable, CountsWhatFollowedEachContext) {
  NgramTable table(kPlenty);
  table.add(std::vector<TokenId>{1, 2, 3, 1, 2, 4, 1, 2, 3});
  const auto counts = table.counts(std::vector<TokenId>{9, 1, 2}, 3);
  EXPECT_EQ(counts[0].context, 3u) << "2 was followed three times";
  EXPECT_EQ(counts[0].together, 2u);
  EXPECT_EQ(counts[1].context, 3u) << "so was 1 2";
  EXPECT_EQ(counts[1].together, 2u);
  EXPECT_EQ(counts[2].context, 0u) << "9 1 2 did not occur";
  EXPECT_EQ(table.counts(std::vector<TokenId>{3, 1, 2}, 4)[2].together, 1u);
  EXPECT_EQ(table.counts({}, 4)[0].context, 0u);
}

TEST(NgramTable, AgreesWithCountingEveryRunOfARandomText) {
  std::mt19937 random(3);
  std::vector<TokenId> text(600);
  for (TokenId& token : text) token = static_cast<TokenId>(random() % 5);
  NgramTable table(kPlenty);
  table.add(text);
  for (int round = 0; round < 500; ++round) {
    const std::size_t at = 5 + random() % (text.size() - 5);
    const std::vector<TokenId> before(text.begin() + static_cast<std::ptrdiff_t>(at - 5),
                                      text.begin() + static_cast<std::ptrdiff_t>(at));
    const auto next = static_cast<TokenId>(random() % 5);
    const auto counts = table.counts(before, next);
    for (std::size_t n = 1; n <= 5; ++n) {
      std::uint64_t context = 0, together = 0;
      for (std::size_t i = n; i < text.size(); ++i) {
        const bool same = std::equal(before.end() - static_cast<std::ptrdiff_t>(n), before.end(),
                                     text.begin() + static_cast<std::ptrdiff_t>(i - n));
        context += same ? 1 : 0;
        together += same && text[i] == next ? 1 : 0;
      }
      ASSERT_EQ(counts[n - 1].context, context) << "n " << n;
      ASSERT_EQ(counts[n - 1].together, together) << "n " << n;
    }
  }
}

TEST(NgramTable, RunsDoNotGoOnFromOneTextIntoTheNext) {
  NgramTable table(kPlenty);
  table.add(std::vector<TokenId>{1, 2});
  table.add(std::vector<TokenId>{3, 4});
  EXPECT_EQ(table.counts(std::vector<TokenId>{2}, 3)[0].context, 0u);
  EXPECT_EQ(table.counts(std::vector<TokenId>{3}, 4)[0].together, 1u);
}

TEST(NgramTable, KeepsNoMoreRunsThanItMayAndCountsThoseOn) {
  NgramTable table(100);
  std::vector<TokenId> text;
  for (TokenId token = 0; token < 2000; ++token) text.push_back(token);
  const std::vector<TokenId> known = {7000, 7001};
  table.add(known);
  table.add(text);
  EXPECT_EQ(table.runs(), 100u);
  EXPECT_LE(table.bytes(), 256u * 16u);
  table.add(known);
  EXPECT_EQ(table.counts(std::vector<TokenId>{7000}, 7001)[0].together, 2u);
  EXPECT_EQ(table.counts(std::vector<TokenId>{1998}, 1999)[0].context, 0u) << "it came too late";
}

TEST(NgramTable, ScoresByThePapersWeightsOverTheTablesTogether) {
  NgramTable one(kPlenty), two(kPlenty);
  one.add(std::vector<TokenId>{1, 2, 3});
  two.add(std::vector<TokenId>{5, 2, 4});
  EXPECT_DOUBLE_EQ(score(one, {1, 2}, 3), 0.01 + 0.04)
      << "bigram and trigram, and nothing for what is unseen";
  EXPECT_DOUBLE_EQ(score(one, {8, 2}, 3), 0.01);
  EXPECT_DOUBLE_EQ(score(one, {1, 2}, 4), 0.0);
  const std::array<const NgramTable*, 2> both = {&one, &two};
  EXPECT_DOUBLE_EQ(ngram_score(both, std::vector<TokenId>{1, 2}, 3), 0.01 * 0.5 + 0.04);
  EXPECT_DOUBLE_EQ(ngram_score({}, std::vector<TokenId>{1, 2}, 3), 0.0);
  NgramTable six(kPlenty);
  six.add(std::vector<TokenId>{1, 2, 3, 4, 5, 6});
  EXPECT_DOUBLE_EQ(score(six, {0, 1, 2, 3, 4, 5}, 6), 0.01 + 0.04 + 0.15 + 0.18 + 0.12);
}

}  // namespace
}  // namespace troupe
