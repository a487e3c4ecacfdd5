#pragma once
// Who holds which block, and so how much of a prompt each worker has: exact, bounded, for tens of millions of
// blocks and thousands of holders.
//
// A block's key chains over its whole prefix, the model and the tenant's salt (common/kv/block_key.hpp), so
// one flat table from key to holders is a radix tree without nodes: the walk over a prompt's keys is the
// descent, and what survives the intersection of the holders so far is the answer for all of them at once.
// Keys of different models and tenants differ, so one index serves all.
//
// - Exact: full keys are compared; a holder is never reported for a block it has not stored.
// - A holder that is forgotten is out at once; its marks go when the sweep, a few buckets with every change,
//   has passed all buckets, and only then is its number given to another.
// - Full: the clock's hand drops blocks that were not found since its last round. Blocks that are stored
//   and never found go first.
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/error.hpp"
#include "common/prefix_index/block_table.hpp"
#include "common/prefix_index/holder_pool.hpp"
#include "common/prefix_index/tier.hpp"

namespace troupe {

/// One worker's cache of one model, from a start or a snapshot on. Never reused: what comes for a forgotten
/// holder changes nothing.
using HolderId = StrongId<struct HolderTag>;

struct PrefixMatch {
  HolderId holder;
  std::uint32_t blocks = 0;     ///< leading blocks it holds, whatever the tier
  std::uint32_t in_memory = 0;  ///< leading blocks it holds in memory
  bool operator==(const PrefixMatch&) const = default;
};

struct PrefixIndexOptions {
  std::size_t max_blocks = std::size_t{1} << 20;
  std::size_t max_list_bytes = std::size_t{512} << 20;  ///< of blocks with more than three holders
};

/// Threads: one. Cost: per key one or two cache misses; keys of a call are fetched ahead.
class PrefixIndex {
 public:
  static constexpr std::uint32_t kMaxHolders = 1u << 14;

  explicit PrefixIndex(const PrefixIndexOptions& options);

  /// Errors: queue_full (kMaxHolders are there).
  [[nodiscard]] Expected<HolderId> add_holder();
  /// Forgets all it holds. Cost: O(1) and a step of the sweep.
  void forget(HolderId holder);
  [[nodiscard]] bool knows(HolderId holder) const;
  /// Blocks the index attributes to it.
  [[nodiscard]] std::uint32_t held(HolderId holder) const;

  void store(HolderId holder, std::span<const BlockKey> keys, Tier tier = Tier::memory);
  void remove(HolderId holder, std::span<const BlockKey> keys, Tier tier = Tier::memory);

  /// Every holder of the first block, by how far it goes on; in no order. Keeps what was found from the
  /// clock. Valid until the next call.
  [[nodiscard]] std::span<const PrefixMatch> match(std::span<const BlockKey> blocks);
  /// The same for some holders, in their order; zeros for those that hold nothing.
  [[nodiscard]] std::vector<PrefixMatch> match(std::span<const BlockKey> blocks, std::span<const HolderId> holders);

  /// Clears what forgotten holders left in up to `buckets` buckets: for idle moments.
  void sweep(std::size_t buckets);

  [[nodiscard]] std::size_t size() const { return table_.size(); }  ///< blocks, those not yet swept included
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }
  /// Holders of a block that were not noted because lists are at their limit.
  [[nodiscard]] std::uint64_t dropped_holders() const { return dropped_holders_; }

 private:
  enum class SlotState : std::uint8_t { free, live, leaving };
  struct Slot {
    std::uint32_t generation = 0;
    std::uint32_t held = 0;
    SlotState state = SlotState::free;
    std::uint64_t free_at = 0;  // value of swept_ once nothing of it is left
  };
  [[nodiscard]] std::uint16_t slot_of(HolderId holder) const {
    return static_cast<std::uint16_t>(holder.value & (kMaxHolders - 1));
  }
  [[nodiscard]] HolderId id_of(std::uint16_t slot) const {
    return {std::uint64_t{slots_[slot].generation} * kMaxHolders | slot};
  }
  [[nodiscard]] std::span<std::uint16_t> list(BlockEntry& entry) const;
  void add(BlockEntry& entry, std::uint16_t slot, std::uint16_t tier);
  void drop(BlockEntry& entry, std::uint16_t slot, std::uint16_t tier);
  [[nodiscard]] bool resize_list(BlockEntry& entry, std::uint32_t wanted);
  void release_list(BlockEntry& entry);
  void erase(BlockPlace place);
  void purge(BlockPlace place);
  void make_room();
  void evict_one();
  void grow();
  void free_swept_slots();
  void begin_match(BlockEntry& entry);
  void intersect(BlockEntry& entry, std::uint32_t depth);
  [[nodiscard]] bool keep_equal_run(std::span<const std::uint16_t> holders, std::size_t& at, std::size_t& i,
                                    std::size_t& kept);

  std::size_t max_blocks_;
  std::size_t limit_;  // blocks the table was made for
  BlockTable table_;
  HolderPool lists_;
  std::vector<Slot> slots_;
  std::vector<std::uint16_t> free_slots_;
  std::vector<std::uint16_t> leaving_;  // in the order they were forgotten
  std::uint64_t swept_ = 0;             // buckets passed, ever
  std::size_t sweep_at_ = 0, hand_ = 0;
  std::uint64_t evicted_ = 0, dropped_holders_ = 0;
  // of a match
  std::vector<std::uint16_t> going_on_;  // who holds every block so far, as lists say it
  std::vector<PrefixMatch> found_;
  std::vector<std::uint32_t> found_at_;  // by slot: its place in found_
};

}  // namespace troupe
