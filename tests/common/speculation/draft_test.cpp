#include "common/speculation/draft.hpp"

#include <gtest/gtest.h>

namespace troupe::speculation {
namespace {

TEST(DraftTree, KeepsOnlyWhatIsUsable) {
  DraftTree tree;
  tree.nodes = {{5, -1, 2.0F},
                {5, -1, 0.1F} /* a sibling alike */,
                {9, 0, 0.5F},
                {100, 0, 0.5F} /* no token */,
                {6, 3, 0.5F} /* its child */,
                {7, 9, 0.5F} /* a parent to come */,
                {-3, -1, 0.5F},
                {8, 2, 0.5F},
                {9, 7, 0.5F} /* too deep */,
                {1, -7, 0.5F}};
  const DraftTree out = usable(tree, 100, 10, 3);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out.nodes[0].token, 5);
  EXPECT_EQ(out.nodes[0].confidence, 1.0F);
  EXPECT_EQ(out.nodes[1].token, 9);
  EXPECT_EQ(out.nodes[1].parent, 0);
  EXPECT_EQ(out.nodes[2].token, 8);
  EXPECT_EQ(out.nodes[2].parent, 1);
  EXPECT_EQ(usable(tree, 100, 1, 3).size(), 1u);
  EXPECT_TRUE(usable(tree, 100, 10, 0).empty());
}

TEST(DraftTree, IsArrangedLikeliestChainFirst) {
  DraftTree tree;
  tree.nodes = {{1, -1, 0}, {2, -1, 0}, {3, 0, 0}, {4, 1, 0}, {5, 3, 0}, {6, 1, 0}};
  const std::vector<double> worth = {0.3, 0.6, 0.2, 0.5, 0.4, 0.1};
  const DraftTree out = arranged(tree, {true, true, true, true, true, false}, worth);
  ASSERT_EQ(out.size(), 5u);
  const std::vector<TokenId> expected = {2, 4, 5, 1, 3};
  const std::vector<std::int32_t> parents = {-1, 0, 1, -1, 3};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(out.nodes[i].token, expected[i]);
    EXPECT_EQ(out.nodes[i].parent, parents[i]);
  }
  EXPECT_EQ(out.depths(), (std::vector<std::uint32_t>{0, 1, 2, 0, 1}));
}

}  // namespace
}  // namespace troupe::speculation
