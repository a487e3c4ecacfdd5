#include "common/speculation/choose_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace troupe::speculation {
namespace {

DraftTree chain(std::uint32_t length) {
  DraftTree tree;
  for (std::uint32_t i = 0; i < length; ++i)
    tree.add(static_cast<TokenId>(i), static_cast<std::int32_t>(i) - 1, 0.5F);
  return tree;
}
std::size_t kept_of(const std::vector<bool>& kept) {
  return static_cast<std::size_t>(std::count(kept.begin(), kept.end(), true));
}

// A step whose first row costs 5 and each further one 1: a row pays while it is likelier than the tokens it
// delays.
const StepSeconds kLinear = [](std::uint32_t extra) { return 5.0 + extra; };

TEST(ChooseRows, TakesTheLengthThatMakesMostTokensASecond) {
  const DraftTree draft = chain(8);
  std::vector<double> p(8);
  double each = 1;
  for (double& one : p) one = each *= 0.8;
  // By hand: (1 + .8) / 6 = .3, (2.44) / 7 = .349, 2.952 / 8 = .369, 3.36 / 9 = .3736, 3.69 / 10 = .369.
  const auto kept = choose_rows(std::vector<Proposal>{{0, &draft, p}}, 1, kLinear, 8);
  EXPECT_EQ(kept[0], (std::vector<bool>{true, true, true, true, false, false, false, false}));
}

TEST(ChooseRows, TakesNothingThatDoesNotPay) {
  const DraftTree draft = chain(4);
  EXPECT_EQ(
      kept_of(choose_rows(std::vector<Proposal>{{0, &draft, {0.15, 0.1, 0.05, 0.01}}}, 1, kLinear, 8)[0]),
      0u);
  // A gain that noise could make.
  EXPECT_EQ(kept_of(choose_rows(std::vector<Proposal>{{0, &draft, {0.22, 0.0, 0.0, 0.0}}}, 1, kLinear, 8)[0]),
            0u);
}

TEST(ChooseRows, SpreadsRowsOverStreamsByProbability) {
  const DraftTree draft = chain(4);
  const std::vector<Proposal> proposals = {{0, &draft, {0.9, 0.8, 0.7, 0.6}},
                                           {1, &draft, {0.3, 0.1, 0.0, 0.0}},
                                           {2, &draft, {0.95, 0.9, 0.1, 0.0}}};
  const auto kept = choose_rows(
      proposals, 3, [](std::uint32_t extra) { return 5.0 + 0.5 * extra; }, 100);
  EXPECT_EQ(kept_of(kept[0]), 4u);
  EXPECT_EQ(kept_of(kept[1]), 0u);
  EXPECT_EQ(kept_of(kept[2]), 2u);
  const auto few = choose_rows(
      proposals, 3, [](std::uint32_t extra) { return 5.0 + 0.5 * extra; }, 3);
  EXPECT_EQ(kept_of(few[0]) + kept_of(few[2]), 3u);
}

TEST(ChooseRows, OfAStreamsProposalsTakesTheOneWorthMost) {
  const DraftTree shallow = chain(1), deep = chain(4);
  const std::vector<Proposal> proposals = {{0, &shallow, {0.9}}, {0, &deep, {0.8, 0.8, 0.7, 0.7}}};
  const auto kept = choose_rows(proposals, 1, kLinear, 8);
  EXPECT_EQ(kept_of(kept[0]), 0u);
  EXPECT_EQ(kept_of(kept[1]), 4u);
}

TEST(ChooseRows, StepsInCostAreSeenThrough) {
  // The fifth row starts another tile: three more rows in it are free, so all or four.
  const DraftTree draft = chain(7);
  const StepSeconds tiles = [](std::uint32_t extra) { return extra < 4 ? 5.0 : 6.0; };
  EXPECT_EQ(
      kept_of(choose_rows(std::vector<Proposal>{{0, &draft, std::vector<double>(7, 0.9)}}, 1, tiles, 8)[0]),
      7u);
  EXPECT_EQ(kept_of(choose_rows(std::vector<Proposal>{{0, &draft, {0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1}}}, 1,
                                tiles, 8)[0]),
            3u);
}

TEST(ChooseRows, KnowsWhenNoDraftCouldPay) {
  EXPECT_TRUE(could_pay(1, kLinear, 8));
  // Compute-bound: twice the rows take twice the time.
  EXPECT_FALSE(could_pay(
      32, [](std::uint32_t extra) { return 32.0 + extra; }, 64));
  EXPECT_FALSE(could_pay(
      1, [](std::uint32_t) { return 0.0; }, 8))
      << "a clock that stands still";
}

}  // namespace
}  // namespace troupe::speculation
