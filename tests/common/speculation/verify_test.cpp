// Verification against a target with a known law: whatever is drafted, what is emitted is what plain drawing
// emits.
#include "common/speculation/verify.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace troupe::speculation {
namespace {

constexpr std::uint32_t kVocab = 6;

/// Bigram target; its draw at a position is a function of what stands before and of noise keyed by the
/// position.
class ToyTarget {
 public:
  explicit ToyTarget(std::uint64_t seed) : seed_(seed) {
    std::mt19937_64 random(3);
    for (auto& row : weights_)
      for (std::uint32_t& weight : row) weight = 1 + static_cast<std::uint32_t>(random() % 9);
  }
  [[nodiscard]] TokenId draw(std::span<const TokenId> text) const {
    const auto& row = weights_[static_cast<std::size_t>(text.back())];
    std::uint32_t sum = 0;
    for (const std::uint32_t weight : row) sum += weight;
    std::uint32_t at = static_cast<std::uint32_t>(std::mt19937_64(seed_ * 1000003 + text.size())() % sum);
    TokenId token = 0;
    while (at >= row[static_cast<std::size_t>(token)]) at -= row[static_cast<std::size_t>(token++)];
    return token;
  }
  [[nodiscard]] TokenId likeliest(TokenId before) const {
    const auto& row = weights_[static_cast<std::size_t>(before)];
    return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
  }

 private:
  std::uint64_t seed_;
  std::array<std::array<std::uint32_t, kVocab>, kVocab> weights_{};
};

DraftTree random_tree(std::mt19937_64& random) {
  DraftTree tree;
  const std::size_t nodes = random() % 12;
  for (std::size_t i = 0; i < nodes; ++i)
    tree.add(static_cast<TokenId>(random() % kVocab), static_cast<std::int32_t>(random() % (i + 1)) - 1,
             0.5F);
  return usable(tree, kVocab, 12, 12);
}

std::vector<TokenId> plain(const ToyTarget& target, std::size_t length) {
  std::vector<TokenId> text = {0};
  while (text.size() < length) text.push_back(target.draw(text));
  return text;
}

/// `lenient` is a verifier broken on purpose: it takes a guess that the target finds likeliest instead of
/// drawing.
std::vector<TokenId> drafted(const ToyTarget& target, std::size_t length, bool lenient,
                             std::uint64_t& accepted) {
  std::mt19937_64 random(17);
  std::vector<TokenId> text = {0};
  while (text.size() < length) {
    Verification verification(random_tree(random));
    const std::size_t root = text.size();
    while (const auto row = verification.next_row()) {
      // The row's own path is what stands in the text by now.
      EXPECT_EQ(text.size(), root + verification.path().size());
      TokenId token = target.draw(text);
      if (const TokenId liked = target.likeliest(text.back());
          lenient &&
          verification.draft().child(static_cast<std::int32_t>(*row) - 1, liked) != DraftTree::kRoot)
        token = liked;
      text.push_back(token);
      verification.drew(token);
    }
    accepted += verification.path().size();
    EXPECT_EQ(text.size(), root + verification.path().size() + 1) << "one token more than was accepted";
    const auto path = verification.path_tokens();
    EXPECT_TRUE(std::equal(path.begin(), path.end(), text.begin() + static_cast<std::ptrdiff_t>(root)));
  }
  text.resize(length);
  return text;
}

TEST(Verification, EmitsWhatPlainDrawingEmitsForAnyTree) {
  std::uint64_t accepted = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const ToyTarget target(seed);
    EXPECT_EQ(drafted(target, 200, false, accepted), plain(target, 200)) << seed;
  }
  EXPECT_GT(accepted, 2000u);
}

TEST(Verification, ThisComparisonFindsAVerifierThatIsLenient) {
  std::uint64_t accepted = 0, different = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const ToyTarget target(seed);
    different += drafted(target, 200, true, accepted) != plain(target, 200) ? 1 : 0;
  }
  EXPECT_EQ(different, 50u);
}

TEST(Verification, AnEmptyDraftIsPlainDecoding) {
  Verification verification{DraftTree{}};
  EXPECT_EQ(verification.rows(), 1u);
  EXPECT_EQ(verification.next_row(), 0u);
  verification.drew(3);
  EXPECT_EQ(verification.next_row(), std::nullopt);
  EXPECT_TRUE(verification.path().empty());
}

//   root ── 0 ── 1 ── 3
//     │     └─── 2
//     └──── 4 ── 5
DraftTree sample_tree() {
  DraftTree tree;
  tree.nodes = {{10, -1, 0}, {11, 0, 0}, {12, 0, 0}, {13, 1, 0}, {14, -1, 0}, {15, 4, 0}};
  return tree;
}

TEST(Verification, RowsSeeTheRootTheirAncestorsAndThemselves) {
  const Verification verification(sample_tree());
  EXPECT_EQ(verification.seen_by(0), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(verification.seen_by(4), (std::vector<std::uint32_t>{0, 1, 2, 4}));
  EXPECT_EQ(verification.seen_by(6), (std::vector<std::uint32_t>{0, 5, 6}));
}

TEST(Verification, AChainThatIsLaidFirstMovesNothing) {
  Verification verification(sample_tree());
  for (const TokenId token : {10, 11, 13, 99}) verification.drew(token);
  EXPECT_EQ(verification.path(), (std::vector<std::uint32_t>{0, 1, 3}));
  EXPECT_EQ(verification.moves(), (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{4, 3}}));
  Verification first(sample_tree());
  for (const TokenId token : {10, 11, 99}) first.drew(token);
  EXPECT_TRUE(first.moves().empty());
}

TEST(Verification, ABranchFurtherBackMovesBehindTheRootInOrder) {
  Verification verification(sample_tree());
  for (const TokenId token : {14, 15, 10}) verification.drew(token);
  EXPECT_EQ(verification.moves(), (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{5, 1}, {6, 2}}));
}

TEST(Verification, AStopEndsTheStep) {
  Verification verification(sample_tree());
  verification.drew(10);
  verification.stop();
  EXPECT_EQ(verification.next_row(), std::nullopt);
  EXPECT_EQ(verification.path_tokens(), (std::vector<TokenId>{10}));
}

}  // namespace
}  // namespace troupe::speculation
