#include "common/kv/sequence_pages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const BlockKey kRoot = root_key(ModelId{1, 2}, "default");

std::vector<TokenId> ids(std::uint32_t count, TokenId first = 0) {
  std::vector<TokenId> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

SequencePages empty(PagePool& pool) {
  return SequencePages(pool, kRoot, std::string(kDensePolicy));
}

/// Reserves, appends and computes; returns the copy that append asked for.
std::optional<CopyPage> run(SequencePages& sequence, const std::vector<TokenId>& tokens) {
  const std::uint32_t end = sequence.length() + static_cast<std::uint32_t>(tokens.size());
  EXPECT_TRUE(sequence.reserve(end));
  const auto copy = sequence.append(tokens);
  sequence.computed(end);
  return copy;
}

std::uint32_t adopted(SequencePages& sequence, const std::vector<TokenId>& prompt,
                      std::uint32_t most = 100000) {
  bool ok = false;
  (void)sequence.adopt(prompt, most, ok);
  EXPECT_TRUE(ok);
  return sequence.length();
}

TEST(SequencePages, PutsTokenIInSlotIModulo64OfItsPage) {
  PagePool pool(4);
  SequencePages sequence = empty(pool);
  EXPECT_EQ(run(sequence, ids(130)), std::nullopt);
  ASSERT_EQ(sequence.pages().size(), 3U);
  EXPECT_EQ(sequence.slot_of(0), sequence.pages()[0] * 64);
  EXPECT_EQ(sequence.slot_of(63), sequence.pages()[0] * 64 + 63);
  EXPECT_EQ(sequence.slot_of(129), sequence.pages()[2] * 64 + 1);
  EXPECT_TRUE(pool.sealed(sequence.pages()[1]));
  EXPECT_FALSE(pool.sealed(sequence.pages()[2]));
}

TEST(SequencePages, PublishesExactlyTheFullComputedBlocks) {
  PagePool pool(4);
  SequencePages sequence = empty(pool);
  ASSERT_TRUE(sequence.reserve(100));
  (void)sequence.append(ids(100));
  EXPECT_TRUE(pool.stored_keys().empty()) << "appended is not computed";
  sequence.computed(47);
  EXPECT_EQ(pool.stored_keys().size(), 2U);
  sequence.computed(100);
  EXPECT_THAT(pool.stored_keys(),
              ::testing::UnorderedElementsAreArray(block_keys(ModelId{1, 2}, "default", ids(100))));
}

TEST(SequencePages, ReservesAllOrNothingAndNamesBothNumbers) {
  PagePool pool(2);
  SequencePages sequence = empty(pool);
  const auto refused = sequence.reserve(129);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::out_of_pages);
  EXPECT_THAT(refused.error().detail, HasSubstr("129 tokens need 3 more pages, 2 of 2"));
  EXPECT_EQ(pool.free(), 2U);
  EXPECT_FALSE(sequence.reserve(UINT32_MAX));
  EXPECT_TRUE(sequence.reserve(128));
  EXPECT_EQ(pool.free(), 0U);
  sequence.release();
  EXPECT_EQ(pool.free(), 2U);
}

TEST(SequencePages, AdoptSharesWholePagesAndCopiesTheBlocksOfAPartialHit) {
  PagePool pool(8);
  SequencePages first = empty(pool);
  run(first, ids(120));
  SequencePages second = empty(pool);
  bool ok = false;
  const auto copy = second.adopt(ids(120), 119, ok);
  EXPECT_TRUE(ok);
  EXPECT_EQ(second.length(), 112U);
  EXPECT_EQ(second.computed_length(), 112U);
  EXPECT_EQ(second.pages()[0], first.pages()[0]);
  EXPECT_EQ(pool.refcount(first.pages()[0]), 2U);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->from, first.pages()[1]);
  EXPECT_EQ(copy->to, second.pages()[1]);
  EXPECT_EQ(pool.refcount(first.pages()[1]), 1U);
  EXPECT_EQ(run(second, ids(8, 112)), std::nullopt) << "the copy is its own";
}

TEST(SequencePages, AdoptTakesAtMostTheGivenTokens) {
  PagePool pool(8);
  SequencePages first = empty(pool);
  run(first, ids(128));
  SequencePages second = empty(pool), third = empty(pool), fourth = empty(pool);
  EXPECT_EQ(adopted(second, ids(128), 127), 127U);
  EXPECT_EQ(adopted(third, ids(128), 15), 15U);
  EXPECT_EQ(adopted(fourth, ids(128)), 128U);
}

TEST(SequencePages, AHitEndsAtTheTokenWhereThePromptLeavesTheTree) {
  PagePool pool(16);
  SequencePages first = empty(pool), second = empty(pool);
  run(first, ids(128));
  std::vector<TokenId> branch = ids(84);  // like the first up to token 84, inside block 5, then its own way
  for (TokenId token = 1000; branch.size() < 128; ++token) branch.push_back(token);
  EXPECT_EQ(adopted(second, branch), 84U);
  EXPECT_THAT(std::vector(second.tokens().begin(), second.tokens().end()), ids(84));
  run(second, {branch.begin() + 84, branch.end()});

  // Two blocks follow token 80 now: of both the one that agrees longer is taken.
  SequencePages third = empty(pool), fourth = empty(pool), fifth = empty(pool);
  std::vector<TokenId> near_second = branch, near_first = ids(128);
  near_second[90] = near_first[91] = 5;
  EXPECT_EQ(adopted(third, near_second), 90U);
  EXPECT_EQ(adopted(fourth, near_first), 91U);
  // A block that begins a page is taken in part as well.
  std::vector<TokenId> at_page = ids(128);
  at_page[67] = 5;
  EXPECT_EQ(adopted(fifth, at_page), 67U);
  EXPECT_EQ(fifth.pages().size(), 2U);
  EXPECT_EQ(pool.refcount(fifth.pages()[1]), 1U) << "what ends inside a page is a copy";
}

TEST(SequencePages, PartOfABlockIsFoundUntilItsLastHolderIsEvicted) {
  PagePool pool(4);
  SequencePages first = empty(pool), second = empty(pool);
  ASSERT_TRUE(first.reserve(64));
  (void)first.append(ids(64));
  ASSERT_TRUE(second.reserve(64));
  (void)second.append(ids(64));
  first.computed(64);
  second.computed(64);  // the same keys twice: the second page stands in when the first goes
  const auto part = [&] {
    const BlockKey branch = block_key(kRoot, {}, kDensePolicy);
    return pool.lookup_inside(branch, ids(9));
  };
  const std::uint32_t first_page = first.pages()[0], second_page = second.pages()[0];
  ASSERT_TRUE(part());
  EXPECT_EQ(part()->page, first_page);
  EXPECT_EQ(part()->tokens, 9U);
  first.release();
  std::vector<std::uint32_t> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(pool.allocate().value());
  EXPECT_THAT(taken, ::testing::Contains(first_page));
  ASSERT_TRUE(part());
  EXPECT_EQ(part()->page, second_page);
  for (const std::uint32_t page : taken) pool.unref(page);
  second.release();
  while (pool.allocate()) {
  }
  EXPECT_FALSE(part());
}

TEST(SequencePages, AdoptKeepsOnlyWholePagesWhenNoPageCanBeHad) {
  PagePool pool(2);
  SequencePages first = empty(pool);
  run(first, ids(96));
  SequencePages second = empty(pool);
  bool ok = true;
  EXPECT_EQ(second.adopt(ids(96), 96, ok), std::nullopt);
  EXPECT_FALSE(ok);
  EXPECT_EQ(second.length(), 64U);
  first.release();
  second.release();
  SequencePages third = empty(pool);
  EXPECT_EQ(third.adopt(ids(96), 96, ok), std::nullopt)
      << "the page to copy from is never the one evicted for it";
  EXPECT_FALSE(ok);
  EXPECT_EQ(pool.stored_keys().size(), 6U);
}

TEST(SequencePages, AnotherTenantOrPolicyFindsNothing) {
  PagePool pool(4);
  SequencePages first = empty(pool);
  run(first, ids(64));
  SequencePages other(pool, root_key(ModelId{1, 2}, "someone"), std::string(kDensePolicy)),
      sparse(pool, kRoot, "lambda");
  EXPECT_EQ(adopted(other, ids(64)), 0U);
  EXPECT_EQ(adopted(sparse, ids(64)), 0U);
}

TEST(SequencePages, TheFirstOfAForkToAppendCopiesAndTheOtherWritesInPlace) {
  PagePool pool(4);
  SequencePages parent = empty(pool);
  run(parent, ids(70));
  SequencePages child = parent.fork();
  EXPECT_EQ(child.pages(), parent.pages());
  EXPECT_TRUE(child.needs_copy());
  EXPECT_EQ(child.pages_needed(71), 1U);
  const auto copy = run(child, ids(1, 500));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->from, parent.pages()[1]);
  EXPECT_EQ(copy->to, child.pages()[1]);
  EXPECT_FALSE(parent.needs_copy());
  EXPECT_EQ(run(parent, ids(1, 600)), std::nullopt);
  EXPECT_EQ(pool.referenced(), 3U);
}

TEST(SequencePages, ReserveCountsTheCopyAndReturnsItWhenItIsNotNeeded) {
  PagePool pool(2);
  SequencePages parent = empty(pool);
  run(parent, ids(65));
  SequencePages child = parent.fork();
  EXPECT_FALSE(child.reserve(66)) << "both pages are taken";
  EXPECT_TRUE(child.reserve(65));
  parent.release();
  EXPECT_TRUE(child.reserve(66)) << "alone, it writes in place";

  PagePool wide(4);
  SequencePages one = empty(wide);
  run(one, ids(10));
  SequencePages two = one.fork();
  EXPECT_TRUE(two.reserve(11));
  EXPECT_EQ(wide.referenced(), 2U);
  one.release();
  EXPECT_EQ(two.append(ids(1)), std::nullopt);
  EXPECT_EQ(wide.referenced(), 1U);
}

TEST(SequencePages, WritingBeforeAPublishedBlockCopiesFirst) {
  PagePool pool(4);
  SequencePages sequence = empty(pool);
  run(sequence, ids(64));
  const std::uint32_t published = sequence.pages()[0];
  sequence.truncate(40);
  EXPECT_TRUE(sequence.needs_copy());
  const auto copy = run(sequence, ids(24, 900));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->from, published);
  EXPECT_EQ(pool.cached(), 1U);
  SequencePages old = empty(pool), changed = empty(pool);
  EXPECT_EQ(adopted(old, ids(64)), 64U);
  std::vector<TokenId> prompt = ids(40);
  for (const TokenId id : ids(24, 900)) prompt.push_back(id);
  EXPECT_EQ(adopted(changed, prompt), 64U);
  EXPECT_THAT(changed.pages(), ElementsAre(sequence.pages()[0]));
}

TEST(SequencePages, WritingAfterThePublishedBlocksNeedsNoCopy) {
  PagePool pool(2);
  SequencePages sequence = empty(pool);
  run(sequence, ids(60));
  sequence.truncate(50);
  EXPECT_EQ(run(sequence, ids(14, 50)), std::nullopt);
  EXPECT_EQ(pool.stored_keys().size(), 4U);
}

TEST(SequencePages, WithoutPrefixCacheAFullPageIsReopenedInPlace) {
  PagePool pool(1, false);
  SequencePages sequence = empty(pool);
  run(sequence, ids(64));
  sequence.truncate(63);
  EXPECT_EQ(run(sequence, ids(1, 5)), std::nullopt);
  EXPECT_TRUE(pool.sealed(sequence.pages()[0]));
}

TEST(SequencePages, RejectedDraftsAreNeverFound) {
  PagePool pool(2);
  SequencePages sequence = empty(pool);
  run(sequence, ids(14));
  ASSERT_TRUE(sequence.reserve(20));
  (void)sequence.append(ids(6, 700));
  sequence.truncate(15);
  sequence.computed(15);
  run(sequence, ids(1, 15));
  EXPECT_EQ(pool.stored_keys().size(), 1U);
  EXPECT_EQ(sequence.tokens()[14], 700);
}

TEST(SequencePages, RewindForgetsTokensAndKeepsEveryPage) {
  PagePool pool(6);
  SequencePages sequence = empty(pool);
  run(sequence, ids(70));
  ASSERT_TRUE(sequence.reserve(200));
  (void)sequence.append(ids(130, 70));
  sequence.set_position(150, 7);
  const auto pages = sequence.pages();
  sequence.rewind(70);
  EXPECT_EQ(sequence.length(), 70U);
  EXPECT_EQ(sequence.pages(), pages);
  EXPECT_EQ(sequence.pages_needed(200), 0U);
  EXPECT_EQ(run(sequence, ids(130, 70)), std::nullopt);
  EXPECT_EQ(sequence.pages(), pages);
  EXPECT_EQ(sequence.position_of(150), 150U);
  EXPECT_EQ(pool.stored_keys().size(), 12U);
  EXPECT_DEATH(sequence.rewind(199), "not computed");
}

TEST(SequencePages, PositionsDefaultToTheIndexAndAMovedTokenEndsPublishing) {
  PagePool pool(4);
  SequencePages sequence = empty(pool);
  run(sequence, ids(16));
  ASSERT_TRUE(sequence.reserve(64));
  (void)sequence.append(ids(48));
  sequence.set_position(40, 7);
  EXPECT_EQ(sequence.position_of(39), 39U);
  EXPECT_EQ(sequence.position_of(40), 7U);
  EXPECT_EQ(sequence.position_of(41), 41U);
  sequence.computed(64);
  EXPECT_EQ(pool.stored_keys().size(), 2U);
  EXPECT_EQ(sequence.fork().position_of(40), 7U);
  sequence.truncate(40);
  EXPECT_EQ(sequence.position_of(40), 40U);
  run(sequence, ids(24));
  EXPECT_EQ(pool.stored_keys().size(), 4U);
}

TEST(SequencePages, UnnamedTokensArePublishedByNobodyUntilTheyAreCutOff) {
  PagePool pool(4);
  SequencePages sequence = empty(pool);
  run(sequence, ids(20));
  ASSERT_TRUE(sequence.reserve(130));
  for (std::uint32_t index = 20; index < 130; ++index) {  // one by one, as a stream grows
    (void)sequence.append(ids(1, static_cast<TokenId>(index)));
    sequence.set_unnamed(index);
    sequence.computed(index + 1);
  }
  EXPECT_EQ(sequence.length(), 130U);
  EXPECT_EQ(pool.stored_keys().size(), 1U) << "the first block, which is whole and named";
  SequencePages other = empty(pool);
  bool ok = true;
  (void)other.adopt(ids(130), 130, ok);
  EXPECT_EQ(other.length(), 16U);
  other.release();
  sequence.truncate(20);
  run(sequence, ids(44, 20));
  EXPECT_EQ(pool.stored_keys().size(), 4U) << "what stands there now is what it is called";
}

TEST(SequencePages, MovingOneHandsItsPagesOnAndEmptiesIt) {
  PagePool pool(4);
  {
    SequencePages one = empty(pool), two = empty(pool);
    run(one, ids(10));
    run(two, ids(70, 5));
    two = std::move(one);
    EXPECT_EQ(two.length(), 10U);
    EXPECT_EQ(pool.referenced(), 1U);
    SequencePages three(std::move(two));
    EXPECT_EQ(three.pages().size(), 1U);
  }
  EXPECT_EQ(pool.referenced(), 0U);
}

TEST(SequencePages, TheEndOfAReleasedPrefixIsEvictedFirst) {
  PagePool pool(3);
  SequencePages sequence = empty(pool);
  run(sequence, ids(192));
  sequence.release();
  SequencePages other = empty(pool);
  run(other, ids(64, 1000));
  SequencePages again = empty(pool);
  EXPECT_EQ(adopted(again, ids(192)), 128U);
}

}  // namespace
}  // namespace troupe
