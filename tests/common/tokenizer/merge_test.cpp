#include "common/tokenizer/merge.hpp"

#include <gtest/gtest.h>

#include <random>

namespace troupe {
namespace {

std::vector<std::int32_t> ids_of(const MergeScratch& scratch) {
  std::vector<std::int32_t> ids;
  for (const Symbol& symbol : scratch.symbols) ids.push_back(symbol.id);
  return ids;
}

MergeScratch word(const std::vector<std::int32_t>& ids) {
  MergeScratch scratch;
  for (std::uint32_t i = 0; i < ids.size(); ++i) scratch.symbols.push_back({i, 1, ids[i]});
  return scratch;
}

TEST(Merge, TakesTheLowestPriorityFirstAndTheLeftmostOfEquals) {
  PairMap pairs;
  pairs.insert(1, 2, {5, 10});
  pairs.insert(2, 3, {4, 11});
  pairs.insert(1, 1, {1, 12});
  const auto lookup = [&](const Symbol& l, const Symbol& r) { return pairs.find(l.id, r.id); };
  auto scratch = word({1, 2, 3});
  merge_symbols(scratch, lookup);
  EXPECT_EQ(ids_of(scratch), (std::vector<std::int32_t>{1, 11}));
  scratch = word({1, 1, 1});
  merge_symbols(scratch, lookup);
  EXPECT_EQ(ids_of(scratch), (std::vector<std::int32_t>{12, 1}));
  EXPECT_EQ(scratch.symbols[0].length, 2U);
}

TEST(Merge, HeapAndRescanningAgreeOnRandomRules) {
  std::mt19937 random(7);  // a fixed seed: mt19937's numbers are the same everywhere
  for (int round = 0; round < 300; ++round) {
    PairMap pairs;
    for (int i = 0; i < 40; ++i) {
      const auto pick = [&] { return static_cast<std::int32_t>(random() % 12); };
      const std::int32_t left = pick(), right = pick();
      pairs.insert(left, right, {static_cast<std::uint32_t>(random() % 20), pick()});
    }
    const auto lookup = [&](const Symbol& l, const Symbol& r) { return pairs.find(l.id, r.id); };
    std::vector<std::int32_t> ids(random() % 90);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 5);
    auto by_heap = word(ids);
    auto by_rescanning = word(ids);
    merge_by_heap(by_heap, lookup);
    merge_by_rescanning(by_rescanning, lookup);
    ASSERT_EQ(ids_of(by_heap), ids_of(by_rescanning)) << "round " << round;
  }
}

TEST(FlatMaps, KeepTheFirstValueAndFindAllAfterGrowing) {
  StringMap texts;
  PairMap pairs;
  for (std::int32_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(texts.insert("key " + std::to_string(i), i), StringMap::kAbsent);
    pairs.insert(i, i + 1, {7, i});
    pairs.insert(i, i + 1, {1, 9});
  }
  EXPECT_EQ(texts.insert("key 17", 99), 17);
  for (std::int32_t i = 0; i < 5000; ++i) {
    ASSERT_EQ(texts.find("key " + std::to_string(i)), i);
    ASSERT_EQ(pairs.find(i, i + 1).id, i);
  }
  EXPECT_EQ(texts.find("key"), StringMap::kAbsent);
  EXPECT_EQ(texts.find(""), StringMap::kAbsent);
  EXPECT_EQ(pairs.find(-1, 0).id, -1);
}

}  // namespace
}  // namespace troupe
