// Handing a page to the tier allocates nothing: it happens between the steps of an engine.
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "common/kv/disk/disk_tier.hpp"
#include "tests/common/kv/disk/memory_folder.hpp"

namespace {

thread_local std::uint64_t allocations = 0;  // the tier's own thread may

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* at = std::malloc(bytes == 0 ? 1 : bytes)) return at;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes);
}
void* operator new[](std::size_t bytes) {
  return counted(bytes);
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete[](void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}
void operator delete[](void* at, std::size_t) noexcept {
  std::free(at);
}

namespace troupe::kv::disk {
namespace {

TEST(DiskTierAllocation, StoringAPageAllocatesNothingWhetherItIsTakenHeldOrDropped) {
  const auto disk = std::make_shared<MemoryDisk>();
  TierOptions options;
  options.path = "p";
  options.buffer_bytes = 8 * kFormat.page_bytes;
  options.folder = [&](const std::string&) -> Expected<std::unique_ptr<Folder>> {
    return std::make_unique<MemoryFolder>(disk);
  };
  const auto tier = *DiskTier::open(options, kFormat);
  const auto kv = kv_of(1);
  std::vector<PageIdentity> pages;
  for (std::uint64_t i = 1; i <= 20; ++i) pages.push_back(page_of(i));
  const auto store = [&](const PageIdentity& page) {
    return tier->store(page, [&](std::span<std::byte> to) { std::ranges::copy(kv, to.begin()); });
  };
  ASSERT_GT(allocations, 0U);  // they are seen
  int taken = 0;
  const std::uint64_t before = allocations;
  for (const PageIdentity& page : pages) taken += store(page) ? 1 : 0;
  for (const PageIdentity& page : pages) (void)tier->holds(page.key());
  (void)tier->can_store();
  (void)tier->has_news();
  EXPECT_EQ(allocations, before);
  EXPECT_GT(taken, 0);
  tier->drain();
  const std::uint64_t settled = allocations;
  EXPECT_TRUE(store(pages[0])) << "held";
  EXPECT_EQ(allocations, settled);
}

}  // namespace
}  // namespace troupe::kv::disk
