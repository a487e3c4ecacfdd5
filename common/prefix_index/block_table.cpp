#include "common/prefix_index/block_table.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace troupe {
namespace {

__extension__ using Wide = unsigned __int128;

// Keys of this project are hashes, those of other engines may be counters: every bit reaches every other.
std::uint64_t mix(const BlockKey& key) {
  std::uint64_t h = key.high * 0x9E3779B97F4A7C15ULL ^ std::rotl(key.low * 0xC2B2AE3D27D4EB4FULL, 32);
  h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9ULL;
  return h ^ h >> 32;
}
std::size_t home(std::uint64_t hash, std::size_t buckets) {
  return static_cast<std::size_t>(Wide{hash} * buckets >> 64);
}
std::uint8_t tag(std::uint64_t hash) {
  return static_cast<std::uint8_t>(std::max<std::uint64_t>(1, hash & 0xFF));
}

}  // namespace

BlockTable::BlockTable(std::size_t blocks) : buckets_(std::max<std::size_t>(4, blocks / 3 + 1)) {
  void* memory = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // Searches hit pages at random: with small pages every one of them also misses the TLB.
  if (bytes() >= (std::size_t{8} << 20)) (void)::madvise(memory, bytes(), MADV_HUGEPAGE);
  data_ = static_cast<BlockBucket*>(memory);
}

BlockTable::~BlockTable() {
  if (data_ != nullptr) ::munmap(data_, bytes());
}

BlockTable::BlockTable(BlockTable&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), buckets_(std::exchange(other.buckets_, 0)),
      size_(std::exchange(other.size_, 0)) {}

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(buckets_, other.buckets_);
  std::swap(size_, other.size_);
  return *this;
}

void BlockTable::prefetch(const BlockKey& key) const {
  const auto* at = reinterpret_cast<const char*>(data_ + home(mix(key), buckets_));
  __builtin_prefetch(at);
  __builtin_prefetch(at + 64);
}

BlockPlace BlockTable::find(const BlockKey& key) const {
  const std::uint64_t hash = mix(key);
  std::size_t at = home(hash, buckets_);
  for (std::size_t looked = 0; looked < buckets_; ++looked) {
    BlockBucket& bucket = data_[at];
    for (unsigned i = 0; i < BlockBucket::kEntries; ++i)
      if (bucket.tags[i] == tag(hash) && bucket.entries[i].key == key) return {&bucket, i};
    if (bucket.overflow == 0) return {};
    if (++at == buckets_) at = 0;
  }
  return {};
}

BlockPlace BlockTable::insert(const BlockKey& key) {
  const std::uint64_t hash = mix(key);
  for (std::size_t at = home(hash, buckets_);; at = at + 1 == buckets_ ? 0 : at + 1) {
    BlockBucket& bucket = data_[at];
    for (unsigned i = 0; i < BlockBucket::kEntries; ++i) {
      if (bucket.tags[i] != 0) continue;
      bucket.tags[i] = tag(hash);
      bucket.entries[i] = {};
      bucket.entries[i].key = key;
      bucket.hot = static_cast<std::uint8_t>(bucket.hot & ~(1u << i));
      ++size_;
      return {&bucket, i};
    }
    if (bucket.overflow != UINT16_MAX) ++bucket.overflow;  // a full count stays: searches go on, nothing is lost
  }
}

void BlockTable::erase(BlockPlace place) {
  for (std::size_t at = home(mix(place.entry().key), buckets_); data_ + at != place.bucket;
       at = at + 1 == buckets_ ? 0 : at + 1)
    if (data_[at].overflow != UINT16_MAX) --data_[at].overflow;
  place.bucket->tags[place.index] = 0;
  --size_;
}

}  // namespace troupe
