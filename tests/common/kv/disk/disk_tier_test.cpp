#include "common/kv/disk/disk_tier.hpp"

#include <semaphore>

#include <gtest/gtest.h>

#include "tests/common/kv/disk/memory_folder.hpp"

namespace troupe::kv::disk {
namespace {

struct Rig {
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  TierOptions options;
  Rig() {
    options.path = "p";
    options.capacity_bytes = 1 << 20;
    options.buffer_bytes = 8 * kFormat.page_bytes;  // four each way
    options.folder = [this](const std::string&) -> Expected<std::unique_ptr<Folder>> {
      return std::make_unique<MemoryFolder>(disk);
    };
  }
  std::unique_ptr<DiskTier> open() {
    auto tier = DiskTier::open(options, kFormat);
    EXPECT_TRUE(tier.has_value());
    return std::move(*tier);
  }
};

bool store(DiskTier& tier, std::uint64_t number) {
  return tier.store(page_of(number),
                    [&](std::span<std::byte> to) { std::ranges::copy(kv_of(number), to.begin()); });
}

TEST(DiskTier, WhatIsStoredIsReadInTheOrderAsked) {
  Rig rig;
  auto tier = rig.open();
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_TRUE(store(*tier, i));
  tier->drain();
  EXPECT_TRUE(tier->holds(page_of(2).key()));
  const std::vector<BlockKey> wanted = {page_of(3).key(), page_of(1).key()};
  const auto ticket = tier->read(wanted);
  tier->drain();
  for (const std::uint64_t number : {3, 1}) {
    const auto arrived = tier->take();
    ASSERT_TRUE(arrived.has_value());
    EXPECT_EQ(arrived->ticket, ticket);
    ASSERT_TRUE(arrived->ok);
    EXPECT_TRUE(std::ranges::equal(arrived->kv, kv_of(number)));
    tier->recycle(*arrived);
  }
  EXPECT_FALSE(tier->take().has_value());
  const TierStats stats = tier->stats();
  EXPECT_EQ(stats.writes, 3U);
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.read_bytes, 2 * kFormat.page_bytes);
  EXPECT_EQ(stats.errors + stats.dropped, 0U);
}

TEST(DiskTier, IsWarmAfterARestart) {
  Rig rig;
  EXPECT_TRUE(store(*rig.open(), 1));  // the destructor writes what it was given
  auto tier = rig.open();
  EXPECT_TRUE(tier->holds(page_of(1).key()));
  EXPECT_EQ(tier->take_changes().size(), kBlocksPerPage) << "it says what it found";
  EXPECT_EQ(tier->stored_keys().size(), kBlocksPerPage);
}

TEST(DiskTier, AFullQueueDropsAndNeverWaits) {
  Rig rig;
  auto tier = rig.open();
  store(*tier, 1);
  tier->drain();
  rig.disk->holds_reads = true;  // the thread waits in a read
  const std::vector<BlockKey> first = {page_of(1).key()};
  (void)tier->read(first);
  std::uint64_t taken = 0;
  for (std::uint64_t i = 10; i < 20; ++i) taken += store(*tier, i) ? 1 : 0;
  EXPECT_EQ(taken, 4U);
  EXPECT_FALSE(tier->can_store());
  EXPECT_EQ(tier->stats().dropped, 6U);
  EXPECT_TRUE(store(*tier, 10)) << "queued already";
  rig.disk->release_reads();
  tier->drain();
  EXPECT_TRUE(tier->can_store());
  EXPECT_EQ(tier->stats().writes, 5U);
}

TEST(DiskTier, MoreReadsThanBuffersWaitForTheirReader) {
  Rig rig;
  auto tier = rig.open();
  std::vector<BlockKey> wanted;
  for (std::uint64_t i = 1; i <= 7; ++i) {
    ASSERT_TRUE(store(*tier, i));
    tier->drain();
    wanted.push_back(page_of(i).key());
  }
  (void)tier->read(wanted);
  for (std::uint64_t i = 1; i <= 7; ++i) {
    tier->drain();
    const auto arrived = tier->take();
    ASSERT_TRUE(arrived && arrived->ok);
    EXPECT_TRUE(std::ranges::equal(arrived->kv, kv_of(i)));
    tier->recycle(*arrived);
  }
}

TEST(DiskTier, AMissingPageEndsItsTicketAndNoOther) {
  Rig rig;
  auto tier = rig.open();
  store(*tier, 1);
  tier->drain();
  const std::vector<BlockKey> some = {page_of(5).key(), page_of(1).key()}, one = {page_of(1).key()};
  const auto first = tier->read(some), second = tier->read(one);
  tier->drain();
  const auto failed = tier->take();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->ticket, first);
  EXPECT_FALSE(failed->ok);
  tier->recycle(*failed);
  const auto good = tier->take();
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->ticket, second);
  EXPECT_TRUE(good->ok);
  EXPECT_FALSE(tier->take().has_value());
}

TEST(DiskTier, ADamagedPageIsAMissThatIsCountedAndSaid) {
  Rig rig;
  auto tier = rig.open();
  store(*tier, 1);
  tier->drain();
  (void)tier->take_changes();
  rig.disk->files.begin()->second->at(record_offset(kFormat, 0) + kRecordHeaderBytes + 5) ^= std::byte{1};
  const std::vector<BlockKey> one = {page_of(1).key()};
  (void)tier->read(one);
  tier->drain();
  EXPECT_FALSE(tier->take()->ok);
  EXPECT_EQ(tier->stats().errors, 1U);
  EXPECT_EQ(tier->stats().hits, 0U);
  EXPECT_FALSE(tier->holds(page_of(1).key()));
  EXPECT_EQ(tier->take_changes().size(), kBlocksPerPage);
}

TEST(DiskTier, AFullDiskPausesTheWritingAndReadsGoOn) {
  Rig rig;
  rig.options.retry = std::chrono::hours(1);
  auto tier = rig.open();
  store(*tier, 1);
  tier->drain();
  rig.disk->room = rig.disk->used() + 5;
  EXPECT_TRUE(store(*tier, 2));
  tier->drain();
  EXPECT_TRUE(tier->stats().paused);
  EXPECT_EQ(tier->stats().errors, 1U);
  EXPECT_FALSE(store(*tier, 3)) << "not even tried";
  EXPECT_FALSE(tier->can_store());
  EXPECT_EQ(tier->stats().dropped, 1U) << "the refused one waits";
  const std::vector<BlockKey> one = {page_of(1).key()};
  (void)tier->read(one);
  tier->drain();
  EXPECT_TRUE(tier->take()->ok);
}

TEST(DiskTier, WritesAgainOnceThereIsRoom) {
  Rig rig;
  rig.options.retry = std::chrono::milliseconds(1);
  std::counting_semaphore<> told(0);
  auto tier = rig.open();
  tier->on_news([&] { told.release(); });
  rig.disk->refuses_create = true;
  EXPECT_TRUE(store(*tier, 1));
  while (tier->stats().errors < 2) told.acquire();  // tried again, and refused again
  EXPECT_TRUE(tier->stats().paused);
  EXPECT_FALSE(tier->holds(page_of(1).key()));
  {
    const std::lock_guard lock(rig.disk->mutex);
    rig.disk->refuses_create = false;
  }
  while (tier->stats().paused) told.acquire();  // nothing else is given to it
  EXPECT_TRUE(tier->holds(page_of(1).key()));
  EXPECT_EQ(tier->stats().writes, 1U);
  EXPECT_EQ(tier->stats().dropped, 0U);
  tier->on_news({});
}

TEST(DiskTier, ACancelledTicketIsNotReadOn) {
  Rig rig;
  auto tier = rig.open();
  store(*tier, 1), store(*tier, 2);
  tier->drain();
  rig.disk->holds_reads = true;
  const std::vector<BlockKey> both = {page_of(1).key(), page_of(2).key()};
  tier->cancel(tier->read(both));
  rig.disk->release_reads();
  tier->drain();
  int arrived = 0;
  for (; tier->take(); ++arrived) {
  }
  EXPECT_LE(arrived, 1) << "at most the one that was being read";
}

TEST(DiskTier, SaysWhenThereAreNews) {
  Rig rig;
  std::counting_semaphore<> told(0);
  auto tier = rig.open();
  tier->on_news([&] { told.release(); });
  EXPECT_FALSE(tier->has_news());
  store(*tier, 1);
  told.acquire();
  EXPECT_TRUE(tier->has_news());
  EXPECT_EQ(tier->take_changes().size(), kBlocksPerPage);
  EXPECT_FALSE(tier->has_news());
  const std::vector<BlockKey> one = {page_of(1).key()};
  (void)tier->read(one);
  told.acquire();
  EXPECT_TRUE(tier->has_news());
  tier->on_news({});
}

TEST(DiskTier, LearnsHowFastItReads) {
  Rig rig;
  auto tier = rig.open();
  const double before = tier->read_seconds(1 << 20);
  EXPECT_GT(before, 0);
  store(*tier, 1);
  tier->drain();
  const std::vector<BlockKey> one(50, page_of(1).key());
  (void)tier->read(one);
  while (true) {
    tier->drain();
    const auto arrived = tier->take();
    if (!arrived) break;
    tier->recycle(*arrived);
  }
  const double measured = tier->read_seconds(1 << 20);
  EXPECT_NE(measured, before);
  for (int i = 0; i < 1000; ++i) tier->forgive();
  EXPECT_LE(tier->read_seconds(1 << 20), std::max(measured, before) * 1.0001)
      << "back towards the first guess at most";
}

}  // namespace
}  // namespace troupe::kv::disk
