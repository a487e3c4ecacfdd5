#pragma once
// The pages of one simulated worker: a fixed number, part of them in cached blocks that several sequences may
// share. Blocks nobody uses are evicted as the engine evicts (common/kv/page_pool.hpp): in the order they
// were last used, of one prompt the end first, and those that were found again after those that were not, as
// long as the former are at most three quarters of all.
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
    return static_cast<std::uint32_t>(once_.size() + again_.size()) * per_block_;
  }
  [[nodiscard]] std::uint32_t pages_per_block() const { return per_block_; }
  [[nodiscard]] std::vector<std::uint64_t> blocks() const;
  [[nodiscard]] CacheChanges take_changes();

 private:
  struct Block {
    std::uint32_t uses = 0;
    bool again = false;                        // found after it was made
    bool in_again = false;                     // which list `place` is in
    std::list<std::uint64_t>::iterator place;  // when uses is 0
  };
  void rest(std::uint64_t id, Block& block);
  void wake(Block& block) { (block.in_again ? again_ : once_).erase(block.place); }

  std::uint32_t pages_, per_block_, free_;
  std::unordered_map<std::uint64_t, Block> blocks_;
  std::list<std::uint64_t> once_, again_;  // unused ones, the next to go first
  CacheChanges changes_;
};

}  // namespace troupe::router
