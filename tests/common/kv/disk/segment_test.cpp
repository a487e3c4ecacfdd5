#include "common/kv/disk/segment.hpp"

#include <gtest/gtest.h>

#include "tests/common/kv/disk/memory_folder.hpp"

namespace troupe::kv::disk {
namespace {

struct Rig {
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  MemoryFolder folder{disk};

  MemoryDisk::Bytes& bytes() { return *disk->files.at("s"); }
  /// A segment of pages 1 .. records.
  Segment written(std::uint32_t records) {
    auto segment = Segment::create(folder, "s", kFormat);
    EXPECT_TRUE(segment.has_value());
    for (std::uint32_t i = 0; i < records; ++i) EXPECT_EQ(segment->append(page_of(i + 1), kv_of(i + 1)), i);
    return std::move(*segment);
  }
  /// Opens it and checks that exactly the pages `numbers` are there, whole.
  Expected<Segment> reopened(const std::vector<std::uint64_t>& numbers) {
    std::vector<Segment::Found> found;
    auto segment = Segment::open(*folder.open("s"), kFormat, found);
    if (!segment) return segment;
    EXPECT_EQ(found.size(), numbers.size());
    for (std::size_t i = 0; i < std::min(found.size(), numbers.size()); ++i) {
      EXPECT_EQ(found[i].page, page_of(numbers[i]));
      std::vector<std::byte> kv(kFormat.page_bytes);
      EXPECT_TRUE(segment->read(found[i].slot, found[i].page.key(), kv).has_value());
      EXPECT_EQ(kv, kv_of(numbers[i]));
    }
    return segment;
  }
};

TEST(Segment, ComesBackAsItWasWritten) {
  for (const bool sealed : {false, true}) {
    Rig rig;
    Segment segment = rig.written(3);
    if (sealed) {
      ASSERT_TRUE(segment.seal().has_value());
    }
    EXPECT_EQ(rig.disk->syncs, sealed ? 1 : 0) << "one sync a segment";
    EXPECT_EQ(segment.bytes(), rig.bytes().size());
    const auto again = rig.reopened({1, 2, 3});
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->sealed(), sealed);
    EXPECT_EQ(again->bytes(), rig.bytes().size());
  }
}

TEST(Segment, ATornTailIsCutWhereverItTears) {
  Rig rig;
  (void)rig.written(3);
  const MemoryDisk::Bytes whole = rig.bytes();
  const std::size_t second = record_offset(kFormat, 2);
  for (std::size_t size = second; size < whole.size(); ++size) {
    rig.bytes().assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    auto segment = rig.reopened({1, 2});
    ASSERT_TRUE(segment.has_value()) << size;
    ASSERT_EQ(rig.bytes().size(), second) << "cut at " << size;
    ASSERT_EQ(segment->append(page_of(9), kv_of(9)), 2U);
    ASSERT_TRUE(rig.reopened({1, 2, 9}).has_value());
  }
}

TEST(Segment, ABlockOfTheLastRecordThatNeverReachedTheDeviceIsATornTailToo) {
  Rig rig;
  (void)rig.written(2);
  const MemoryDisk::Bytes whole = rig.bytes();
  for (std::size_t at = record_offset(kFormat, 1); at < whole.size(); at += 50) {
    rig.bytes() = whole;
    for (std::size_t i = at; i < std::min(at + 50, whole.size()); ++i) rig.bytes()[i] = std::byte{0};
    ASSERT_TRUE(rig.reopened({1}).has_value()) << at;
    ASSERT_EQ(rig.bytes().size(), record_offset(kFormat, 1));
  }
}

TEST(Segment, AFlippedBitOfAnUnsealedSegmentCostsItsRecordAlone) {
  Rig rig;
  (void)rig.written(3);
  const MemoryDisk::Bytes whole = rig.bytes();
  for (std::size_t at = record_offset(kFormat, 1); at < record_offset(kFormat, 2); at += 13) {
    rig.bytes() = whole;
    rig.bytes()[at] ^= std::byte{4};
    auto segment = rig.reopened({1, 3});
    ASSERT_TRUE(segment.has_value()) << at;
    ASSERT_EQ(rig.bytes().size(), whole.size());
    ASSERT_TRUE(segment->seal().has_value());
    ASSERT_TRUE(rig.reopened({1, 3}).has_value()) << "a seal does not bring it back";
  }
}

TEST(Segment, AFlippedBitOfASealedOneIsSeenByWhoReadsIt) {
  Rig rig;
  ASSERT_TRUE(rig.written(2).seal().has_value());
  const MemoryDisk::Bytes whole = rig.bytes();
  std::vector<std::byte> kv(kFormat.page_bytes);
  for (std::size_t at = record_offset(kFormat, 1) + kRecordHeaderBytes; at < record_offset(kFormat, 2);
       at += 17) {
    rig.bytes() = whole;
    rig.bytes()[at] ^= std::byte{1};
    std::vector<Segment::Found> found;
    const auto segment = Segment::open(*rig.folder.open("s"), kFormat, found);
    ASSERT_TRUE(segment.has_value() && found.size() == 2);
    const auto read = segment->read(1, page_of(2).key(), kv);
    ASSERT_FALSE(read.has_value()) << at;
    EXPECT_EQ(read.error().code, Errc::hash_mismatch);
    EXPECT_TRUE(segment->read(0, page_of(1).key(), kv).has_value());
  }
}

TEST(Segment, ARecordIsReadAsThePageItIsOnly) {
  Rig rig;
  const Segment segment = rig.written(2);
  std::vector<std::byte> kv(kFormat.page_bytes);
  EXPECT_EQ(segment.read(0, page_of(2).key(), kv).error().code, Errc::hash_mismatch);
}

TEST(Segment, AnotherModelsOrAnUnknownFileIsRefused) {
  Rig rig;
  (void)rig.written(1);
  std::vector<Segment::Found> found;
  for (const SegmentFormat& other : {SegmentFormat{{3, 5}, 1000}, SegmentFormat{{3, 4}, 1001}}) {
    const auto segment = Segment::open(*rig.folder.open("s"), other, found);
    ASSERT_FALSE(segment.has_value());
    EXPECT_EQ(segment.error().code, Errc::file_malformed);
  }
  for (std::size_t at = 0; at < kSegmentHeaderBytes; ++at) {
    rig.bytes()[at] ^= std::byte{0x80};
    EXPECT_FALSE(Segment::open(*rig.folder.open("s"), kFormat, found).has_value()) << at;
    rig.bytes()[at] ^= std::byte{0x80};
  }
  rig.bytes().resize(10);
  EXPECT_FALSE(Segment::open(*rig.folder.open("s"), kFormat, found).has_value());
  EXPECT_TRUE(found.empty());
}

TEST(Segment, AFullDiskLeavesItAsItWas) {
  Rig rig;
  Segment segment = rig.written(1);
  for (std::uint64_t more = 0; more < record_bytes(kFormat); more += 97) {
    rig.disk->room = segment.bytes() + more;
    ASSERT_FALSE(segment.append(page_of(2), kv_of(2)).has_value());
    ASSERT_EQ(rig.bytes().size(), segment.bytes());
  }
  rig.disk->room = UINT64_MAX;
  EXPECT_EQ(segment.append(page_of(3), kv_of(3)), 1U);
  EXPECT_TRUE(rig.reopened({1, 3}).has_value());
}

TEST(Segment, IsNotSealedBeforeItIsOnTheDevice) {
  Rig rig;
  Segment segment = rig.written(1);
  rig.disk->refuses_sync = true;
  EXPECT_FALSE(segment.seal().has_value());
  EXPECT_FALSE(rig.reopened({1})->sealed());
}

TEST(Segment, NothingIsLeftOfOneThatCannotBeMade) {
  Rig rig;
  rig.disk->room = 10;
  EXPECT_FALSE(Segment::create(rig.folder, "s", kFormat).has_value());
  EXPECT_TRUE(rig.disk->files.empty());
}

}  // namespace
}  // namespace troupe::kv::disk
