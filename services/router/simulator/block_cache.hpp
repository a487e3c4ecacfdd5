#pragma once
// The pages of one simulated worker: a fixed number, part of them in cached blocks that several sequences may
// share. Blocks nobody uses are evicted in the order they were last used, of one prompt the end first.
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace troupe::router {

/// Blocks that began or ceased to be there since they were last taken.
struct CacheChanges {
  std::vector<std::uint64_t> stored, removed;
};

/// Threads: one. Cost: O(1) per block.
class BlockCache {
 public:
  BlockCache(std::uint32_t pages, std::uint32_t pages_per_block)
      : pages_(pages), per_block_(pages_per_block), free_(pages) {}

  /// Leading blocks that are there.
  [[nodiscard]] std::uint32_t match(std::span<const std::uint64_t> blocks) const;
  /// Keeps these from eviction until unpin().
  void pin(std::span<const std::uint64_t> blocks);
  /// One use of them less.
  void unpin(std::span<const std::uint64_t> blocks);
  /// A block was computed in pages of the caller's; it is pinned once for it. Where the block is there
  /// already, the caller's pages are free again.
  void seal(std::uint64_t block);

  /// Takes pages, evicting as needed. false: there are not as many.
  [[nodiscard]] bool take(std::uint32_t pages);
  void give(std::uint32_t pages) { free_ += pages; }

  [[nodiscard]] std::uint32_t pages() const { return pages_; }
  [[nodiscard]] std::uint32_t free() const { return free_; }
  [[nodiscard]] std::uint32_t evictable() const {
    return static_cast<std::uint32_t>(unused_.size()) * per_block_;
  }
  [[nodiscard]] std::uint32_t pages_per_block() const { return per_block_; }
  [[nodiscard]] std::vector<std::uint64_t> blocks() const;
  [[nodiscard]] CacheChanges take_changes();

 private:
  struct Block {
    std::uint32_t uses = 0;
    std::list<std::uint64_t>::iterator place;  // in unused_, when uses is 0
  };
  std::uint32_t pages_, per_block_, free_;
  std::unordered_map<std::uint64_t, Block> blocks_;
  std::list<std::uint64_t> unused_;  // the next to go first
  CacheChanges changes_;
};

}  // namespace troupe::router
