#pragma once
// Two read-mostly hash tables with open addressing, for the lookups that dominate encoding: byte string -> id
// and (id, id) -> merge. Filled once at load; lookups never allocate. Keys come from the vocabulary alone, so
// text cannot make the tables grow or degrade.
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Byte strings to non-negative ids. Total key bytes must stay under 4 GiB (checked where vocabularies are
/// read).
class StringMap {
 public:
  static constexpr std::int32_t kAbsent = -1;

  explicit StringMap(std::size_t expected_keys = 0) : slots_(std::bit_ceil(expected_keys * 2 + 16)) {}

  /// The id already stored for `key`, or kAbsent after storing `id`.
  std::int32_t insert(std::string_view key, std::int32_t id) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[slot_of(key, hash(key))];
    if (slot.id != kAbsent) return slot.id;
    slot = {hash(key), id, static_cast<std::uint32_t>(keys_.size()), static_cast<std::uint32_t>(key.size())};
    keys_ += key;
    ++used_;
    return kAbsent;
  }

  [[nodiscard]] std::int32_t find(std::string_view key) const { return slots_[slot_of(key, hash(key))].id; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t id = kAbsent;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };

  static std::uint32_t hash(std::string_view key) {
    std::uint64_t state = key.size() * 0x9E3779B97F4A7C15ULL;
    const char* at = key.data();
    std::size_t left = key.size();
    const auto mix = [&state](std::uint64_t word) {
      state = (state ^ word) * 0xD6E8FEB86659FD93ULL;
      state ^= state >> 32;
    };
    for (; left >= 8; at += 8, left -= 8) mix(load(at, 8));
    if (left > 0) mix(load(at, left));
    state *= 0xD6E8FEB86659FD93ULL;
    return static_cast<std::uint32_t>(state >> 32);
  }

  static std::uint64_t load(const char* at, std::size_t bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, bytes);
    return word;
  }

  [[nodiscard]] std::size_t slot_of(std::string_view key, std::uint32_t key_hash) const {
    std::size_t at = key_hash & (slots_.size() - 1);
    while (slots_[at].id != kAbsent) {
      const Slot& slot = slots_[at];
      if (slot.hash == key_hash && slot.length == key.size() &&
          std::memcmp(keys_.data() + slot.offset, key.data(), key.size()) == 0)
        break;
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.id == kAbsent) continue;
      slots_[slot_of(std::string_view(keys_).substr(slot.offset, slot.length), slot.hash)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::string keys_;
  std::size_t used_ = 0;
};

/// What joining two neighbours gives: the lowest priority goes first. id -1: they do not join.
struct Merge {
  std::uint32_t priority = UINT32_MAX;
  std::int32_t id = -1;
};

/// Pairs of symbol ids to their merge; the first one stored for a pair stays.
class PairMap {
 public:
  explicit PairMap(std::size_t expected_pairs = 0) : slots_(std::bit_ceil(expected_pairs * 2 + 16)) {}

  void insert(std::int32_t left, std::int32_t right, Merge merge) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[slot_of(key_of(left, right))];
    if (slot.merge.id >= 0) return;
    slot = {key_of(left, right), merge};
    ++used_;
  }

  [[nodiscard]] Merge find(std::int32_t left, std::int32_t right) const {
    return slots_[slot_of(key_of(left, right))].merge;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Merge merge;  // id -1: the slot is free
  };

  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }

  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    std::uint64_t mixed = key * 0x9E3779B97F4A7C15ULL;
    mixed ^= mixed >> 29;
    std::size_t at = (mixed * 0xBF58476D1CE4E5B9ULL >> 32) & (slots_.size() - 1);
    while (slots_[at].merge.id >= 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.merge.id >= 0) slots_[slot_of(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace troupe
