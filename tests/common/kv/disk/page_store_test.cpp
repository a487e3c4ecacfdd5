#include "common/kv/disk/page_store.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/kv/disk/memory_folder.hpp"

namespace troupe::kv::disk {
namespace {

using ::testing::ElementsAre;

constexpr std::uint64_t kSegmentBytes = kSegmentHeaderBytes + 2 * (kRecordHeaderBytes + 1000) + kSealBytes;
constexpr std::uint64_t kPages = 8;  ///< that fit: four segments of two

struct Rig {
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  StoreOptions options{4 * kSegmentBytes, kSegmentBytes};

  std::unique_ptr<PageStore> open(const SegmentFormat& format = kFormat) {
    auto store = PageStore::open(std::make_unique<MemoryFolder>(disk), format, options);
    EXPECT_TRUE(store.has_value()) << (store ? "" : to_string(store.error()));
    return std::move(*store);
  }
};

/// Which of pages 1 .. 40 are there, each read and compared.
std::set<std::uint64_t> held(PageStore& store) {
  std::set<std::uint64_t> numbers;
  std::vector<std::byte> kv(kFormat.page_bytes);
  for (std::uint64_t number = 1; number <= 40; ++number) {
    const bool held = store.holds(page_of(number).key());
    const auto got = store.get(page_of(number).key(), kv);
    EXPECT_TRUE(got.has_value());
    EXPECT_EQ(got.value_or(false), held);
    if (!held) continue;
    EXPECT_EQ(kv, kv_of(number));
    numbers.insert(number);
  }
  return numbers;
}

void put(PageStore& store, std::uint64_t number) {
  ASSERT_TRUE(store.put(page_of(number), kv_of(number)).has_value());
}

TEST(PageStore, GivesBackWhatItTookAndKeepsItOverARestart) {
  Rig rig;
  {
    auto store = rig.open();
    for (std::uint64_t i = 1; i <= 5; ++i) put(*store, i);
    put(*store, 3);  // held: no second copy
    EXPECT_EQ(store->pages(), 5U);
    EXPECT_EQ(store->segments(), 3U);
    EXPECT_EQ(store->bytes(), rig.disk->used());
    EXPECT_EQ(held(*store), (std::set<std::uint64_t>{1, 2, 3, 4, 5}));
  }
  auto again = rig.open();
  EXPECT_EQ(held(*again), (std::set<std::uint64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(again->bytes(), rig.disk->used());
  put(*again, 6);
  EXPECT_EQ(again->segments(), 3U) << "the segment that was not full is appended to";
}

TEST(PageStore, NeverHoldsMoreBytesThanItsCapacity) {
  Rig rig;
  auto store = rig.open();
  for (std::uint64_t i = 1; i <= 40; ++i) {
    put(*store, i);
    ASSERT_LE(rig.disk->used(), rig.options.capacity_bytes);
    ASSERT_EQ(store->bytes(), rig.disk->used());
    ASSERT_GE(store->pages(), std::min<std::uint64_t>(i, kPages - 2));
  }
  EXPECT_EQ(held(*store).size(), store->pages());
}

TEST(PageStore, TheSegmentReadLongestAgoGoesFirst) {
  Rig rig;
  auto store = rig.open();
  for (std::uint64_t i = 1; i <= kPages; ++i) put(*store, i);
  std::vector<std::byte> kv(kFormat.page_bytes);
  ASSERT_TRUE(store->get(page_of(2).key(), kv).value());  // keeps 1 too: segments go whole
  put(*store, 20);
  EXPECT_TRUE(store->holds(page_of(1).key()));
  EXPECT_FALSE(store->holds(page_of(3).key()));
  EXPECT_FALSE(store->holds(page_of(4).key()));
  EXPECT_TRUE(store->holds(page_of(5).key()));
}

TEST(PageStore, ASmallerCapacityIsKeptAtOpening) {
  Rig rig;
  {
    auto store = rig.open();
    for (std::uint64_t i = 1; i <= kPages; ++i) put(*store, i);
  }
  rig.options.capacity_bytes /= 2;
  auto store = rig.open();
  EXPECT_LE(rig.disk->used(), rig.options.capacity_bytes);
  EXPECT_FALSE(held(*store).empty());
  EXPECT_TRUE(store->holds(page_of(kPages).key())) << "the oldest go";
}

TEST(PageStore, AnotherModelFindsNothing) {
  Rig rig;
  put(*rig.open(), 1);
  auto other = rig.open({{3, 5}, kFormat.page_bytes});
  EXPECT_EQ(other->pages(), 0U);
  EXPECT_TRUE(rig.disk->files.empty()) << "what nobody can use takes no room";
}

TEST(PageStore, StrangersFilesStay) {
  Rig rig;
  rig.disk->files["notes.txt"] = std::make_shared<MemoryDisk::Bytes>(3);
  rig.disk->files["x.seg"] = std::make_shared<MemoryDisk::Bytes>(3);
  put(*rig.open(), 1);
  EXPECT_TRUE(rig.disk->files.contains("notes.txt") && rig.disk->files.contains("x.seg"));
}

TEST(PageStore, SaysWhichBlocksCameAndWent) {
  Rig rig;
  auto store = rig.open();
  put(*store, 1);
  PageIdentity sibling = page_of(1);  // leaves page 1 in its last block
  sibling.keys[3] = {77, 77};
  ASSERT_TRUE(store->put(sibling, kv_of(2)).has_value());
  std::vector<BlockKey> stored;
  for (const StoreChange& change : store->take_block_changes()) {
    EXPECT_TRUE(change.stored);
    ASSERT_TRUE(change.origin.has_value());
    if (stored.empty()) {
      EXPECT_EQ(change.origin->parent, page_of(1).parent);
      EXPECT_EQ(change.origin->tokens[2], page_of(1).tokens[2]);
    }
    stored.push_back(change.key);
  }
  const auto& keys = page_of(1).keys;
  EXPECT_THAT(stored, ElementsAre(keys[0], keys[1], keys[2], keys[3], sibling.keys[3]));

  // Damage one of the two: what the other one holds stays findable.
  std::vector<std::byte> kv(kFormat.page_bytes);
  rig.disk->files.begin()->second->at(record_offset(kFormat, 0) + kRecordHeaderBytes) ^= std::byte{1};
  EXPECT_EQ(store->get(page_of(1).key(), kv).error().code, Errc::hash_mismatch);
  EXPECT_FALSE(store->get(page_of(1).key(), kv).value()) << "forgotten";
  const auto gone = store->take_block_changes();
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].key, keys[3]);
  EXPECT_FALSE(gone[0].stored);
}

TEST(PageStore, AReopenedStoreTellsWhatItHolds) {
  Rig rig;
  put(*rig.open(), 1);
  auto store = rig.open();
  EXPECT_EQ(store->take_block_changes().size(), kBlocksPerPage);
  EXPECT_EQ(store->take_page_changes().size(), 1U);
}

TEST(PageStore, AFullDiskFailsThePutAlone) {
  Rig rig;
  auto store = rig.open();
  for (std::uint64_t i = 1; i <= 3; ++i) put(*store, i);
  rig.disk->room = rig.disk->used() + 100;
  EXPECT_FALSE(store->put(page_of(4), kv_of(4)).has_value());
  EXPECT_EQ(held(*store), (std::set<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(store->bytes(), rig.disk->used());
  rig.disk->room = UINT64_MAX;
  put(*store, 4);
  EXPECT_EQ(held(*rig.open()), (std::set<std::uint64_t>{1, 2, 3, 4}));
}

TEST(PageStore, AFolderThatTakesNoFilesFailsThePutAlone) {
  Rig rig;
  auto store = rig.open();
  rig.disk->refuses_create = true;
  EXPECT_FALSE(store->put(page_of(1), kv_of(1)).has_value());
  EXPECT_EQ(store->pages(), 0U);
  rig.disk->refuses_create = false;
  put(*store, 1);
}

TEST(PageStore, AFileThatCannotBeRemovedIsNotForgotten) {
  Rig rig;
  auto store = rig.open();
  for (std::uint64_t i = 1; i <= kPages; ++i) put(*store, i);
  rig.disk->refuses_remove = true;
  EXPECT_FALSE(store->put(page_of(20), kv_of(20)).has_value());
  EXPECT_EQ(held(*store).size(), kPages);
  EXPECT_LE(rig.disk->used(), rig.options.capacity_bytes);
}

TEST(PageStore, ASegmentThatCannotBeSealedStaysReadable) {
  Rig rig;
  auto store = rig.open();
  put(*store, 1), put(*store, 2);
  rig.disk->refuses_sync = true;
  EXPECT_FALSE(store->put(page_of(3), kv_of(3)).has_value());
  rig.disk->refuses_sync = false;
  put(*store, 3);
  EXPECT_EQ(held(*store), (std::set<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(held(*rig.open()), (std::set<std::uint64_t>{1, 2, 3}));
}

TEST(PageStore, ACapacityOfLessThanTwoPagesIsRefused) {
  Rig rig;
  rig.options.capacity_bytes = record_bytes(kFormat);
  const auto store = PageStore::open(std::make_unique<MemoryFolder>(rig.disk), kFormat, rig.options);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::config_invalid);
  rig.options.capacity_bytes = 2 * (kSegmentHeaderBytes + record_bytes(kFormat) + kSealBytes);
  auto least = rig.open();
  for (std::uint64_t i = 1; i <= 5; ++i) {
    put(*least, i);
    ASSERT_LE(rig.disk->used(), rig.options.capacity_bytes);
  }
  EXPECT_EQ(held(*least), (std::set<std::uint64_t>{4, 5}));
}

}  // namespace
}  // namespace troupe::kv::disk
