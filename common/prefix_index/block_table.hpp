#pragma once
// Block key -> holder list, flat: buckets of 128 bytes (two neighbouring cache lines) with five entries and a
// byte of each one's hash. A bucket counts the entries that found it full and went on, so that a search stops
// early and an erased entry leaves no mark (overflow counts as in F14, Bronson & Shi 2019). Entries never
// move: whoever walks the buckets while others store and erase misses nothing that stays.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/ids.hpp"

namespace troupe {

/// Holders are numbers `slot << 2 | tiers`, ascending: up to three in place, more in an array of the pool.
struct BlockEntry {
  BlockKey key;
  std::uint16_t holders[3] = {};  ///< or an array's handle (two) and size class
  std::uint16_t count = 0;        ///< kSpilled | number of holders
};

struct BlockBucket {
  static constexpr unsigned kEntries = 5;
  std::uint8_t tags[kEntries] = {};  ///< 0: free
  std::uint8_t hot = 0;              ///< bit per entry: found since the clock's hand was here
  std::uint16_t overflow = 0;        ///< entries whose search goes on behind this bucket
  BlockEntry entries[kEntries];
};
static_assert(sizeof(BlockEntry) == 24 && sizeof(BlockBucket) == 128);

/// An entry, or none.
struct BlockPlace {
  BlockBucket* bucket = nullptr;
  unsigned index = 0;
  [[nodiscard]] explicit operator bool() const { return bucket != nullptr; }
  [[nodiscard]] BlockEntry& entry() const { return bucket->entries[index]; }
  void heat() const { bucket->hot = static_cast<std::uint8_t>(bucket->hot | 1u << index); }
};

/// Threads: one. Cost: O(1), one or two cache misses. Memory is anonymous pages, huge where the kernel has
/// them, and zero until touched. Errors: std::bad_alloc.
class BlockTable {
 public:
  /// Room for `blocks` entries at three fifths full; never more may be inserted.
  explicit BlockTable(std::size_t blocks);
  ~BlockTable();
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;

  void prefetch(const BlockKey& key) const;
  [[nodiscard]] BlockPlace find(const BlockKey& key) const;
  /// A new entry without holders; the key must not be in the table.
  BlockPlace insert(const BlockKey& key);
  void erase(BlockPlace place);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t buckets() const { return buckets_; }
  [[nodiscard]] BlockBucket& bucket(std::size_t number) const { return data_[number]; }
  [[nodiscard]] std::size_t bytes() const { return buckets_ * sizeof(BlockBucket); }

 private:
  BlockBucket* data_ = nullptr;
  std::size_t buckets_ = 0;
  std::size_t size_ = 0;
};

}  // namespace troupe
