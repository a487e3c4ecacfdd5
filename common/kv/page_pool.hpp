#pragma once
// The pages of one engine's KV cache: who holds them, which blocks they publish, which go first when pages
// run out. Bookkeeping only: no KV bytes live here, and copies are instructions for the caller. Paged KV with
// reference counts follows Kwon et al. 2023 (arXiv:2309.06180, section 4); here a page of 64 slots is the
// unit of holding and 16 tokens the unit of finding, so that a hit may end inside a page.
//
// Published blocks form a radix tree: a block's key chains over its parent's, and blocks after one parent are
// siblings. Where a prompt leaves the tree inside a block, the sibling that agrees longest gives its leading
// slots (radix reuse: Zheng et al. 2024, arXiv:2312.07104, section 3; tokens, not blocks, end a hit).
//
// Eviction is LRU with frequency: pages that were found again after their first use lie in a list of their
// own, of at most three quarters of what is cached, and go after those that were not (segmented LRU,
// Karedla et al. 1994). A flood of prompts that never return takes no prefix that does.
//
// A page is in exactly one state:  free -> referenced (OPEN, then SEALED) -> cached (published, unreferenced)
// -> free
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/kv/block_key.hpp"

namespace troupe {

inline constexpr std::uint32_t kPageTokens = kBlockTokens * kBlocksPerPage;

/// Copy all slots of `from` to `to`, in every layer, before any other page is allocated or written.
struct CopyPage {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  bool operator==(const CopyPage&) const = default;
};

/// A key became findable here, or stopped being so.
struct BlockEvent {
  BlockKey key;
  bool stored = true;
  std::optional<BlockOrigin> origin = {};  ///< of a stored one that was published with a text
};

/// Told of whole pages: every block published, the last one under this page's name.
class PageWatcher {
 public:
  virtual ~PageWatcher() = default;
  /// The page lost its last owner and stays for its blocks.
  virtual void cached(std::uint32_t page) = 0;
  /// The cached page's place is about to be given away; its KV is still there.
  virtual void evicting(std::uint32_t page) = 0;
};

/// Threads: one owner. Cost: O(1) per page and block. A wrong page number or count is a programmer's fault
/// and ends the process.
class PagePool {
 public:
  explicit PagePool(std::uint32_t pages, bool prefix_cache = true);

  /// A page with reference count 1, OPEN, unpublished; its slots hold rubbish. Takes a free page, else evicts
  /// the coldest cached one. None when every page is referenced.
  [[nodiscard]] std::optional<std::uint32_t> allocate();
  /// One more owner of a referenced or cached page.
  void ref(std::uint32_t page);
  /// The same for a page that a lookup found: it counts as used again.
  void ref_found(std::uint32_t page);
  /// One owner less. At 0 a page that owns a key is cached as the most recent; any other is free.
  void unref(std::uint32_t page);
  /// Block `block` of `page` is full and from now on immutable, and so are the page's blocks before it: `key`
  /// chains over them. The first page with a key owns it; later ones stand in when the owner is evicted.
  /// No-op without prefix cache.
  /// With `text`, a prompt that leaves it half way finds it too.
  struct BlockText {
    BlockKey branch;                  ///< names what came before and the policy: equal only for equal KV
    std::span<const TokenId> tokens;  ///< its 16
    std::optional<BlockKey> parent = {};
  };
  void publish(std::uint32_t page, std::uint32_t block, const BlockKey& key,
               const std::optional<BlockText>& text = {});
  /// The page is full.
  void seal(std::uint32_t page);
  /// A full page was cut short and its only owner writes on: it must be unshared and unpublished beyond the
  /// cut.
  void reopen(std::uint32_t page);

  struct Match {
    std::vector<std::uint32_t> pages;           ///< leading whole pages
    std::optional<std::uint32_t> partial_page;  ///< then a page that holds the next `blocks` blocks
    std::uint32_t blocks = 0;                   ///< inside partial_page: 0 without one, else 1 to 3
    [[nodiscard]] std::uint32_t tokens() const {
      return static_cast<std::uint32_t>(pages.size()) * kPageTokens + blocks * kBlockTokens;
    }
  };
  /// Longest run of `keys`, from the first on, that is held here. Takes no reference: the pages may go at the
  /// next allocate.
  [[nodiscard]] Match lookup(std::span<const BlockKey> keys) const;

  struct PartOfBlock {
    std::uint32_t page = 0;
    std::uint32_t tokens = 0;  ///< leading ones of its block
  };
  /// Of the blocks of `branch`, the one that agrees with `next` longest. Takes no reference.
  /// Cost: O(1); looks at the 64 newest blocks that start with the same token.
  [[nodiscard]] std::optional<PartOfBlock> lookup_inside(const BlockKey& branch,
                                                         std::span<const TokenId> next) const;
  /// A cached page becomes the most recent one; a referenced page stays as it is.
  void touch(std::uint32_t page);

  [[nodiscard]] bool prefix_cache() const { return prefix_cache_; }
  [[nodiscard]] std::uint32_t total() const { return static_cast<std::uint32_t>(pages_.size()); }
  [[nodiscard]] std::uint32_t free() const { return free_.size; }
  [[nodiscard]] std::uint32_t cached() const {
    return once_.size + often_.size;
  }  ///< unreferenced, kept for their blocks
  [[nodiscard]] std::uint32_t referenced() const { return total() - available(); }
  [[nodiscard]] std::uint32_t available() const { return free_.size + cached(); }

  [[nodiscard]] std::uint32_t refcount(std::uint32_t page) const { return at(page).refs; }
  [[nodiscard]] bool sealed(std::uint32_t page) const { return at(page).sealed; }
  /// Leading slots of the page that may not be written any more: up to the end of its last published block.
  [[nodiscard]] std::uint32_t frozen_slots(std::uint32_t page) const;

  /// What the page is, when every block is published with its text and the last one under this page's name.
  [[nodiscard]] std::optional<PageIdentity> whole_page(std::uint32_t page) const;
  /// `watcher` outlives the pool's last call; none: nobody watches.
  void watch(PageWatcher* watcher) { watcher_ = watcher; }

  /// Changes since the last call, in order. Grows until taken; the engine takes them once per step.
  [[nodiscard]] std::vector<BlockEvent> take_events();
  /// Every findable key, in no order. Cost: O(keys).
  [[nodiscard]] std::vector<BlockKey> stored_keys() const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Block {  // number page * kBlocksPerPage + index; same keys form a list whose first block owns the
                  // key
    BlockKey key;
    std::uint32_t previous = kNone, next = kNone;
    std::optional<BlockKey> branch = {};         // with a text: its branch and first token
    std::optional<BlockKey> parent = {};         // with a text
    std::uint32_t newer = kNone, older = kNone;  // owners with the same one
  };
  struct Page {
    std::uint32_t refs = 0;
    std::uint32_t previous = kNone, next = kNone;  // in free_, once_ or often_
    std::uint8_t published = 0;                    // bit per block
    std::uint8_t owned = 0;                        // those of them that own their key
    bool sealed = false;
    bool is_cached = false;
    bool found_again = false;  // a lookup took it after its first use
  };
  struct List {
    std::uint32_t first = kNone, last = kNone, size = 0;
  };

  [[nodiscard]] const Page& at(std::uint32_t page) const;
  [[nodiscard]] Page& at(std::uint32_t page);
  void push_back(List& list, std::uint32_t page);
  void remove(List& list, std::uint32_t page);
  void cache(std::uint32_t page);
  void uncache(std::uint32_t page);
  [[nodiscard]] bool is_whole(std::uint32_t page) const;
  [[nodiscard]] std::span<TokenId> text_of(std::uint32_t number);
  void join_branch(std::uint32_t number);
  void leave_branch(std::uint32_t number);
  void withdraw(std::uint32_t page);
  void withdraw_block(std::uint32_t number);
  void touch_owners(std::uint32_t page);
  [[nodiscard]] std::optional<std::uint32_t> page_with(const BlockKey& key, std::uint32_t block) const;

  bool prefix_cache_;
  std::vector<Page> pages_;
  std::vector<Block> blocks_;
  std::unordered_map<BlockKey, std::uint32_t> owners_;    // key -> block number
  std::vector<TokenId> texts_;                            // 16 of each block
  std::unordered_map<BlockKey, std::uint32_t> branches_;  // branch -> newest of its owners
  List free_, once_, often_;                              // cached pages, coldest first
  std::vector<BlockEvent> events_;
  PageWatcher* watcher_ = nullptr;
};

}  // namespace troupe
