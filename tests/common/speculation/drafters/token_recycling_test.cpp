#include <gtest/gtest.h>

#include <random>

#include "tests/common/speculation/drafters/text.hpp"

namespace troupe::speculation {
namespace {

RankedRow row(TokenId token, std::vector<TokenId> best) {
  RankedRow out;
  out.token = token;
  out.count = static_cast<std::uint32_t>(best.size());
  std::copy(best.begin(), best.end(), out.best.begin());
  return out;
}

struct Rig {
  std::unique_ptr<Drafter> drafter = make_token_recycling({.vocab = 1000});
  std::vector<TokenId> text = {500};
  void learn(const std::vector<RankedRow>& rows, const char* tenant = "t") {
    drafter->observe({SequenceNumber{1}, tenant, text, 1}, {1, rows, false});
  }
  DraftTree guess(TokenId last, std::uint32_t most = 80, const char* tenant = "t") {
    const std::vector<TokenId> now = {500, last};
    return drafter->propose({SequenceNumber{1}, tenant, now, 1}, {most, most});
  }
};

TEST(TokenRecycling, UnrollsWhatWasRankedAfterEachToken) {
  Rig rig;
  EXPECT_TRUE(rig.guess(1).empty()) << "rows never seen are empty";
  rig.learn({row(1, {2, 3}), row(2, {4}), row(4, {5}), row(3, {6})});
  const DraftTree tree = rig.guess(1);
  std::vector<std::vector<TokenId>> paths;
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    std::vector<TokenId> path;
    for (auto at = static_cast<std::int32_t>(i); at >= 0;
         at = tree.nodes[static_cast<std::size_t>(at)].parent)
      path.insert(path.begin(), tree.nodes[static_cast<std::size_t>(at)].token);
    paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(paths, (std::vector<std::vector<TokenId>>{{2}, {2, 4}, {2, 4, 5}, {3}, {3, 6}}));
}

TEST(TokenRecycling, OfRowsWithOneTokenTheLastCounts) {
  Rig rig;
  rig.learn({row(1, {2, 3}), row(1, {7, 8})});
  EXPECT_EQ(rig.guess(1, 1).nodes[0].token, 7);
}

TEST(TokenRecycling, TheWholeTemplateHasEightyNodesInSixLevels) {
  Rig rig;
  std::vector<RankedRow> rows;
  std::mt19937_64 random(2);
  for (TokenId token = 0; token < 1000; ++token) {
    std::vector<TokenId> best;
    for (int i = 0; i < 8; ++i) best.push_back(static_cast<TokenId>(random() % 125) * 8 + i);
    rows.push_back(row(token, best));
  }
  rig.learn(rows);
  const DraftTree whole = rig.guess(1);
  ASSERT_EQ(whole.size(), 80u);
  std::array<int, 6> levels{};
  for (const std::uint32_t depth : whole.depths()) ++levels[depth];
  EXPECT_EQ(levels, (std::array<int, 6>{8, 21, 25, 15, 8, 3}));
  // A smaller one begins like it, and is deep before it is wide.
  const DraftTree eight = rig.guess(1, 8);
  ASSERT_EQ(eight.size(), 8u);
  const auto depths = eight.depths();
  EXPECT_GE(*std::max_element(depths.begin(), depths.end()), 2u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(eight.nodes[i].token, whole.nodes[i].token);
}

TEST(TokenRecycling, PairsOfThePromptFillWhatWasNeverRanked) {
  Rig rig;
  rig.learn({row(11, {1, 2, 3, 4, 5, 6, 7, 8})});
  const std::vector<TokenId> text = {10, 11, 12, 10};
  const DraftTree tree = rig.drafter->propose({SequenceNumber{2}, "t", text, 4}, {80, 80});
  EXPECT_EQ(tree.child(DraftTree::kRoot, 11), 0);
  EXPECT_EQ(tree.child(0, 12), DraftTree::kRoot) << "what was ranked is better than what stood there once";
  EXPECT_NE(tree.child(0, 1), DraftTree::kRoot);
}

TEST(TokenRecycling, TenantsShareNothingAndTheirNumberIsBounded) {
  auto drafter = make_token_recycling({.vocab = 1000, .most_tenants = 2});
  const std::vector<TokenId> text = {1};
  const auto learn = [&](const char* tenant) {
    const std::vector<RankedRow> rows = {row(1, {2})};
    drafter->observe({SequenceNumber{1}, tenant, text, 1}, {1, rows, false});
  };
  const auto knows = [&](const char* tenant) {
    return !drafter->propose({SequenceNumber{1}, tenant, text, 1}, {8, 8}).empty();
  };
  learn("a");
  EXPECT_FALSE(knows("b"));
  learn("c");  // a, b and c are more than two
  EXPECT_TRUE(knows("c"));
  EXPECT_FALSE(knows("a"));
}

}  // namespace
}  // namespace troupe::speculation
