#include "common/prefix_index/prefix_index.hpp"

#include <algorithm>
#include <cstring>

namespace troupe {
namespace {

constexpr std::uint16_t kSpilled = 0x8000;
constexpr std::uint16_t kTiers = 3;
constexpr std::uint16_t kMemory = static_cast<std::uint16_t>(Tier::memory);
constexpr std::size_t kFirstBlocks = 4096;
constexpr std::size_t kLastCopied = 65536;  // a larger table would stand still for milliseconds while it grows
constexpr std::size_t kSweepPerKey = 4, kSweepPerForget = 2048;
constexpr unsigned kClockLooks = 64;        // then the next block goes, found or not: no call scans the table
constexpr std::size_t kAhead = 8;

std::uint16_t slot_in(std::uint16_t holder) {
  return static_cast<std::uint16_t>(holder >> 2);
}
std::uint16_t pack(std::uint16_t slot, std::uint16_t tiers) {
  return static_cast<std::uint16_t>(slot << 2 | tiers);
}
std::uint16_t length_of(const BlockEntry& entry) {
  return static_cast<std::uint16_t>(entry.count & ~kSpilled);
}
std::uint32_t handle_of(const BlockEntry& entry) {
  std::uint32_t handle = 0;
  std::memcpy(&handle, entry.holders, sizeof handle);
  return handle;
}
std::uint16_t class_for(std::uint32_t holders) {
  std::uint16_t size_class = 0;
  while (HolderPool::capacity(size_class) < holders) ++size_class;
  return size_class;
}

}  // namespace

PrefixIndex::PrefixIndex(const PrefixIndexOptions& options)
    : max_blocks_(std::max<std::size_t>(1, options.max_blocks)),
      limit_(std::min(max_blocks_, kFirstBlocks)),
      table_(limit_),
      lists_(options.max_list_bytes) {}

// ---- holders ----

Expected<HolderId> PrefixIndex::add_holder() {
  if (free_slots_.empty() && slots_.size() == kMaxHolders && !leaving_.empty()) sweep(table_.buckets());
  std::uint16_t slot = 0;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else if (slots_.size() < kMaxHolders) {
    slot = static_cast<std::uint16_t>(slots_.size());
    slots_.emplace_back();
  } else {
    return fail(Errc::queue_full, "the prefix index knows " + std::to_string(kMaxHolders) + " holders, its limit");
  }
  Slot& s = slots_[slot];
  s.state = SlotState::live;
  s.held = 0;
  ++s.generation;
  return id_of(slot);
}

bool PrefixIndex::knows(HolderId holder) const {
  const std::uint16_t slot = slot_of(holder);
  return slot < slots_.size() && slots_[slot].state == SlotState::live && id_of(slot) == holder;
}

std::uint32_t PrefixIndex::held(HolderId holder) const {
  return knows(holder) ? slots_[slot_of(holder)].held : 0;
}

void PrefixIndex::forget(HolderId holder) {
  if (!knows(holder)) return;
  const std::uint16_t slot = slot_of(holder);
  if (slots_[slot].held == 0) {
    slots_[slot].state = SlotState::free;
    free_slots_.push_back(slot);
    return;
  }
  slots_[slot].state = SlotState::leaving;
  slots_[slot].free_at = swept_ + table_.buckets();
  leaving_.push_back(slot);
  sweep(kSweepPerForget);
}

void PrefixIndex::sweep(std::size_t buckets) {
  for (std::size_t i = 0; i < buckets && !leaving_.empty(); ++i) {
    BlockBucket& bucket = table_.bucket(sweep_at_);
    for (unsigned e = 0; e < BlockBucket::kEntries; ++e)
      if (bucket.tags[e] != 0) purge({&bucket, e});
    if (++sweep_at_ == table_.buckets()) sweep_at_ = 0;
    ++swept_;
    free_swept_slots();
  }
}

void PrefixIndex::free_swept_slots() {
  std::size_t done = 0;
  while (done < leaving_.size() && slots_[leaving_[done]].free_at <= swept_) {
    slots_[leaving_[done]].state = SlotState::free;
    free_slots_.push_back(leaving_[done++]);
  }
  if (done != 0) leaving_.erase(leaving_.begin(), leaving_.begin() + static_cast<std::ptrdiff_t>(done));
}

/// Takes leaving holders off an entry, and the entry with its last one.
void PrefixIndex::purge(BlockPlace place) {
  BlockEntry& entry = place.entry();
  const auto holders = list(entry);
  const auto end = std::remove_if(holders.begin(), holders.end(), [&](std::uint16_t holder) {
    return slots_[slot_in(holder)].state == SlotState::leaving;
  });
  const auto left = static_cast<std::uint16_t>(end - holders.begin());
  if (left == holders.size()) return;
  entry.count = static_cast<std::uint16_t>((entry.count & kSpilled) | left);
  if (left == 0) return erase(place);
  (void)resize_list(entry, left);
}

// ---- an entry's list ----

std::span<std::uint16_t> PrefixIndex::list(BlockEntry& entry) const {
  if ((entry.count & kSpilled) == 0) return {entry.holders, entry.count};
  return {lists_.at(entry.holders[2], handle_of(entry)), length_of(entry)};
}

/// Makes room for `wanted` holders, or gives room back when under a quarter is used. false: no room left.
bool PrefixIndex::resize_list(BlockEntry& entry, std::uint32_t wanted) {
  const bool spilled = (entry.count & kSpilled) != 0;
  if (!spilled && wanted <= 3) return true;
  if (spilled) {
    const std::uint32_t room = HolderPool::capacity(entry.holders[2]);
    if (wanted <= room && wanted > room / 4) return true;
  }
  const auto old = list(entry);
  if (wanted <= 2) {
    std::uint16_t kept[3] = {};
    std::copy(old.begin(), old.end(), kept);
    const auto count = static_cast<std::uint16_t>(old.size());
    release_list(entry);
    std::copy(kept, kept + 3, entry.holders);
    entry.count = count;
    return true;
  }
  const std::uint16_t size_class = class_for(wanted);
  if (spilled && size_class == entry.holders[2]) return true;
  const auto handle = lists_.allocate(size_class);
  if (!handle) return wanted <= old.size();
  std::copy(old.begin(), old.end(), lists_.at(size_class, *handle));
  const auto count = static_cast<std::uint16_t>(old.size() | kSpilled);
  release_list(entry);
  std::memcpy(entry.holders, &*handle, sizeof *handle);
  entry.holders[2] = size_class;
  entry.count = count;
  return true;
}

void PrefixIndex::release_list(BlockEntry& entry) {
  if ((entry.count & kSpilled) != 0) lists_.release(entry.holders[2], handle_of(entry));
  entry.count = 0;
}

void PrefixIndex::add(BlockEntry& entry, std::uint16_t slot, std::uint16_t tier) {
  auto holders = list(entry);
  const auto at = std::lower_bound(holders.begin(), holders.end(), pack(slot, 0));
  if (at != holders.end() && slot_in(*at) == slot) {
    *at = static_cast<std::uint16_t>(*at | tier);
    return;
  }
  const auto place = at - holders.begin();
  if (!resize_list(entry, static_cast<std::uint32_t>(holders.size()) + 1)) {
    ++dropped_holders_;
    return;
  }
  ++entry.count;
  holders = list(entry);
  std::copy_backward(holders.begin() + place, holders.end() - 1, holders.end());
  holders[static_cast<std::size_t>(place)] = pack(slot, tier);
  ++slots_[slot].held;
}

void PrefixIndex::drop(BlockEntry& entry, std::uint16_t slot, std::uint16_t tier) {
  const auto holders = list(entry);
  const auto at = std::lower_bound(holders.begin(), holders.end(), pack(slot, 0));
  if (at == holders.end() || slot_in(*at) != slot) return;
  *at = static_cast<std::uint16_t>(*at & ~tier);
  if ((*at & kTiers) != 0) return;
  std::copy(at + 1, holders.end(), at);
  --entry.count;
  --slots_[slot].held;
  (void)resize_list(entry, length_of(entry));
}

// ---- blocks ----

void PrefixIndex::store(HolderId holder, std::span<const BlockKey> keys, Tier tier) {
  if (!knows(holder)) return;
  const std::uint16_t slot = slot_of(holder);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) table_.prefetch(keys[i + kAhead]);
    if (!leaving_.empty()) sweep(kSweepPerKey);
    BlockPlace place = table_.find(keys[i]);
    if (place) {
      place.heat();
    } else {
      make_room();
      place = table_.insert(keys[i]);
    }
    add(place.entry(), slot, static_cast<std::uint16_t>(tier));
  }
}

void PrefixIndex::remove(HolderId holder, std::span<const BlockKey> keys, Tier tier) {
  if (!knows(holder)) return;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) table_.prefetch(keys[i + kAhead]);
    if (!leaving_.empty()) sweep(kSweepPerKey);
    const BlockPlace place = table_.find(keys[i]);
    if (!place) continue;
    drop(place.entry(), slot_of(holder), static_cast<std::uint16_t>(tier));
    if (length_of(place.entry()) == 0) erase(place);
  }
}

void PrefixIndex::erase(BlockPlace place) {
  for (const std::uint16_t holder : list(place.entry())) --slots_[slot_in(holder)].held;
  release_list(place.entry());
  table_.erase(place);
}

void PrefixIndex::make_room() {
  if (table_.size() < limit_) return;
  if (limit_ < max_blocks_) return grow();
  evict_one();
}

void PrefixIndex::evict_one() {
  for (unsigned looked = 0;; ++looked) {
    BlockBucket& bucket = table_.bucket(hand_);
    if (++hand_ == table_.buckets()) hand_ = 0;
    for (unsigned e = 0; e < BlockBucket::kEntries; ++e) {
      if (bucket.tags[e] == 0) continue;
      if ((bucket.hot >> e & 1u) == 0 || looked >= kClockLooks) {
        ++evicted_;
        return erase({&bucket, e});
      }
    }
    bucket.hot = 0;
  }
}

/// Copies to a larger table, without what forgotten holders left.
void PrefixIndex::grow() {
  limit_ = limit_ < kLastCopied ? std::min(limit_ * 4, max_blocks_) : max_blocks_;
  BlockTable larger(limit_);
  for (std::size_t b = 0; b < table_.buckets(); ++b) {
    BlockBucket& bucket = table_.bucket(b);
    for (unsigned e = 0; e < BlockBucket::kEntries; ++e) {
      if (bucket.tags[e] != 0) purge({&bucket, e});
      if (bucket.tags[e] == 0) continue;
      const BlockPlace place = larger.insert(bucket.entries[e].key);
      place.entry() = bucket.entries[e];
      if ((bucket.hot >> e & 1u) != 0) place.heat();
    }
  }
  table_ = std::move(larger);
  swept_ += table_.buckets() * 2;  // nothing is left of anyone
  sweep_at_ = hand_ = 0;
  free_swept_slots();
}

std::size_t PrefixIndex::bytes() const {
  return table_.bytes() + lists_.bytes() + slots_.capacity() * (sizeof(Slot) + sizeof(std::uint32_t)) +
         (free_slots_.capacity() + leaving_.capacity()) * sizeof(std::uint16_t);
}

// ---- matching ----

std::span<const PrefixMatch> PrefixIndex::match(std::span<const BlockKey> blocks) {
  found_.clear();
  going_on_.clear();
  found_at_.resize(slots_.size());
  for (std::size_t i = 0; i < std::min(kAhead, blocks.size()); ++i) table_.prefetch(blocks[i]);
  std::uint32_t depth = 0;
  for (; depth < blocks.size(); ++depth) {
    if (depth + kAhead < blocks.size()) table_.prefetch(blocks[depth + kAhead]);
    const BlockPlace place = table_.find(blocks[depth]);
    if (!place) break;
    if (depth == 0) begin_match(place.entry());
    else intersect(place.entry(), depth);
    if (going_on_.empty()) break;
    place.heat();
  }
  for (const std::uint16_t holder : going_on_) {
    PrefixMatch& match = found_[found_at_[slot_in(holder)]];
    match.blocks = depth;
    if ((holder & kMemory) != 0) match.in_memory = depth;
  }
  return found_;
}

void PrefixIndex::begin_match(BlockEntry& entry) {
  for (const std::uint16_t holder : list(entry)) {
    if (slots_[slot_in(holder)].state != SlotState::live) continue;
    going_on_.push_back(holder);
    found_at_[slot_in(holder)] = static_cast<std::uint32_t>(found_.size());
    found_.push_back({id_of(slot_in(holder)), 0, 0});
  }
}

void PrefixIndex::intersect(BlockEntry& entry, std::uint32_t depth) {
  const auto holders = list(entry);
  // Neighbours of a prompt mostly have the same holders.
  if (std::equal(holders.begin(), holders.end(), going_on_.begin(), going_on_.end())) return;
  const bool few = holders.size() > 16 * going_on_.size();
  std::size_t at = 0, kept = 0, i = 0;
  while (i < going_on_.size()) {
    if (keep_equal_run(holders, at, i, kept)) continue;
    const std::uint16_t before = going_on_[i++];
    const std::uint16_t first = pack(slot_in(before), 0);
    if (few) at += static_cast<std::size_t>(std::ranges::lower_bound(holders.subspan(at), first) -
                                            holders.subspan(at).begin());
    else while (at < holders.size() && holders[at] < first) ++at;
    const bool stays = at < holders.size() && slot_in(holders[at]) == slot_in(before);
    const bool was_in_memory = (before & kMemory) != 0;
    PrefixMatch& match = found_[found_at_[slot_in(before)]];
    if (was_in_memory && (!stays || (holders[at] & kMemory) == 0)) match.in_memory = depth;
    if (stays) going_on_[kept++] = was_in_memory ? holders[at] : static_cast<std::uint16_t>(holders[at] & ~kMemory);
    else match.blocks = depth;
  }
  going_on_.resize(kept);
}

/// Eight neighbours at once that go on as they did: a prefix's list differs little from block to block.
bool PrefixIndex::keep_equal_run(std::span<const std::uint16_t> holders, std::size_t& at, std::size_t& i,
                                 std::size_t& kept) {
  constexpr std::size_t kRun = 8;
  if (i + kRun > going_on_.size() || at + kRun > holders.size()) return false;
  std::uint16_t* const from = going_on_.data() + i;
  if (std::memcmp(from, holders.data() + at, kRun * sizeof *from) != 0) return false;
  if (kept != i) std::memmove(going_on_.data() + kept, from, kRun * sizeof *from);
  at += kRun;
  i += kRun;
  kept += kRun;
  return true;
}

std::vector<PrefixMatch> PrefixIndex::match(std::span<const BlockKey> blocks, std::span<const HolderId> holders) {
  const auto all = match(blocks);
  std::vector<PrefixMatch> out;
  for (const HolderId holder : holders) {
    const std::uint32_t at = knows(holder) ? found_at_[slot_of(holder)] : 0;  // else of an earlier call
    out.push_back(at < all.size() && all[at].holder == holder ? all[at] : PrefixMatch{holder, 0, 0});
  }
  return out;
}

}  // namespace troupe
