#pragma once
// One sequence's view of the page pool: which page holds token i, at which position, and what must be copied
// before a write. A sequence goes through adopt -> (reserve -> append -> write KV -> computed)*, with fork
// and truncate anywhere.
//
// Keys are published by computed() only, so a token that is appended and then truncated (a rejected draft) is
// never found by anyone, provided computed() is called with the accepted length.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/kv/page_pool.hpp"

namespace troupe {

/// Owns its references; the pool must outlive it. Threads: the pool's owner.
/// A CopyPage that is returned must be carried out before anything else is allocated, written or computed.
class SequencePages {
 public:
  /// `root` is root_key(model, tenant); `policy` names attention policy and codec (kDensePolicy).
  SequencePages(PagePool& pool, const BlockKey& root, std::string policy);
  SequencePages(SequencePages&& other) noexcept;
  SequencePages& operator=(SequencePages&& other) noexcept;
  SequencePages(const SequencePages&) = delete;
  SequencePages& operator=(const SequencePages&) = delete;
  ~SequencePages();

  [[nodiscard]] std::uint32_t length() const { return static_cast<std::uint32_t>(tokens_.size()); }
  [[nodiscard]] std::uint32_t computed_length() const { return computed_; }
  [[nodiscard]] const std::vector<std::uint32_t>& pages() const { return pages_; }
  [[nodiscard]] std::span<const TokenId> tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t index) const {
    return pages_[index / kPageTokens] * kPageTokens + index % kPageTokens;
  }

  /// Takes what the pool holds of the first `max_tokens` tokens of `prompt`, to the token; afterwards
  /// length() tokens need no computing. Whole pages are shared; a hit that ends inside a page takes a fresh
  /// OPEN page and returns the copy to do. `ok` is false when no page could be had for it: then the whole
  /// pages alone are adopted. The sequence must be new or released. Cost: O(max_tokens) hashing.
  [[nodiscard]] std::optional<CopyPage> adopt(std::span<const TokenId> prompt, std::uint32_t max_tokens,
                                              bool& ok);

  /// Makes sure append() can go up to `length` tokens, its copy-on-write included. All or nothing.
  /// Errors: out_of_pages with what is needed and available.
  [[nodiscard]] Expected<void> reserve(std::uint32_t length);
  /// Pages that reserve(length) would take from the pool.
  [[nodiscard]] std::uint32_t pages_needed(std::uint32_t length) const;
  /// The next append writes into a page that others read: a fork, or a hit in the prefix cache.
  [[nodiscard]] bool needs_copy() const;

  /// The page reserve() holds for that copy.
  [[nodiscard]] std::optional<std::uint32_t> copy_reserve() const { return spare_; }

  /// Gives `tokens` the slots from length() on; their KV is not computed yet. Pages must be reserved, after
  /// the last fork.
  [[nodiscard]] std::optional<CopyPage> append(std::span<const TokenId> tokens);
  /// The KV of tokens [0, length) is written: publishes full blocks and seals full pages.
  void computed(std::uint32_t length);

  /// Shares every page that holds a token, the last one too; whoever appends first copies that one.
  [[nodiscard]] SequencePages fork() const;
  /// Forgets the tokens from `length` on and gives back pages without tokens, reserved ones too.
  void truncate(std::uint32_t length);
  /// Forgets appended tokens that are not computed, from `length` on, and keeps every page: a pass that was
  /// interrupted is done again in the very same slots.
  void rewind(std::uint32_t length);
  /// Back to an empty sequence.
  void release() { truncate(0); }

  /// Position the rotary embedding uses: the index, unless set.
  [[nodiscard]] std::uint32_t position_of(std::uint32_t index) const {
    return index < positions_.size() ? positions_[index] : index;
  }
  /// For a token that is appended and not yet computed, in a page not shared and behind its published blocks
  /// (always so for tokens appended after the last fork). Blocks from a moved token on are not published:
  /// their keys speak of tokens at their own index.
  void set_position(std::uint32_t index, std::uint32_t position);
  /// The KV of `index` will not be what its token says: as for a moved token, whose conditions hold, blocks
  /// from it on are not published. Nobody else may find them.
  void set_unnamed(std::uint32_t index);

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;

  /// Names what precedes block `index`, for finding parts of it: the chain so far and this sequence's policy.
  [[nodiscard]] BlockKey branch_before(std::uint32_t index) const;
  void drop_pages(std::size_t keep);
  void drop_spare();

  PagePool* pool_;
  BlockKey root_;
  std::string policy_;
  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> pages_;
  std::vector<std::uint32_t> positions_;  // empty, or of the tokens up to the last one that was set
  std::vector<BlockKey> keys_;            // of computed full blocks at their own positions
  std::optional<std::uint32_t> spare_;    // reserved for the next copy-on-write
  std::uint32_t computed_ = 0;
  std::uint32_t first_moved_ = kNowhere;  // moved or unnamed
};

}  // namespace troupe
