#include "common/kv/page_pool.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace troupe {

namespace {

constexpr std::uint32_t kMostSiblings = 64;

BlockKey twig_key(const BlockKey& branch, TokenId first) {
  return Hasher().id(branch).number(static_cast<std::uint64_t>(first)).finish<BlockKey>();
}

}  // namespace

PagePool::PagePool(std::uint32_t pages, bool prefix_cache)
    : prefix_cache_(prefix_cache), pages_(pages), blocks_(std::size_t{pages} * kBlocksPerPage) {
  TROUPE_CHECK(pages <= kNone / kBlocksPerPage, "block numbers are 32 bits");
  if (prefix_cache) texts_.resize(blocks_.size() * kBlockTokens);
  for (std::uint32_t page = pages; page-- > 0;) push_back(free_, page);
}

const PagePool::Page& PagePool::at(std::uint32_t page) const {
  TROUPE_CHECK(page < pages_.size(), "no such page");
  return pages_[page];
}

PagePool::Page& PagePool::at(std::uint32_t page) {
  TROUPE_CHECK(page < pages_.size(), "no such page");
  return pages_[page];
}

void PagePool::push_back(List& list, std::uint32_t page) {
  Page& entry = pages_[page];
  entry.previous = list.last;
  entry.next = kNone;
  (list.last == kNone ? list.first : pages_[list.last].next) = page;
  list.last = page;
  ++list.size;
}

void PagePool::remove(List& list, std::uint32_t page) {
  Page& entry = pages_[page];
  (entry.previous == kNone ? list.first : pages_[entry.previous].next) = entry.next;
  (entry.next == kNone ? list.last : pages_[entry.next].previous) = entry.previous;
  entry.previous = entry.next = kNone;
  --list.size;
}

/// Pages found again are the last to go, as long as they leave a quarter to those that may yet be.
void PagePool::cache(std::uint32_t page) {
  Page& entry = pages_[page];
  entry.is_cached = true;
  push_back(entry.found_again ? often_ : once_, page);
  if (often_.size <= (cached() * 3 + 3) / 4) return;
  const std::uint32_t coldest = often_.first;
  remove(often_, coldest);
  pages_[coldest].found_again = false;
  push_back(once_, coldest);
}

void PagePool::uncache(std::uint32_t page) {
  Page& entry = pages_[page];
  remove(entry.found_again ? often_ : once_, page);
  entry.is_cached = false;
}

std::optional<std::uint32_t> PagePool::allocate() {
  std::uint32_t page = free_.last;
  if (page != kNone) {
    remove(free_, page);
  } else {
    page = once_.size != 0 ? once_.first : often_.first;
    if (page == kNone) return std::nullopt;
    if (watcher_ != nullptr && is_whole(page)) watcher_->evicting(page);
    uncache(page);
    withdraw(page);
  }
  Page& entry = pages_[page];
  entry.refs = 1;
  entry.sealed = entry.found_again = false;
  return page;
}

void PagePool::ref(std::uint32_t page) {
  Page& entry = at(page);
  TROUPE_CHECK(entry.refs > 0 || entry.is_cached, "a free page cannot be referenced");
  if (entry.is_cached) uncache(page);
  ++entry.refs;
}

void PagePool::ref_found(std::uint32_t page) {
  ref(page);
  pages_[page].found_again = true;
}

void PagePool::unref(std::uint32_t page) {
  Page& entry = at(page);
  TROUPE_CHECK(entry.refs > 0, "a page without owners cannot lose one");
  if (--entry.refs > 0) return;
  if (entry.owned != 0) {
    cache(page);
    if (watcher_ != nullptr && is_whole(page)) watcher_->cached(page);
    return;
  }
  touch_owners(page);
  withdraw(page);
  entry.sealed = false;
  push_back(free_, page);
}

/// A page that only stood in for others was in use all the same: pages that follow it are found through the
/// owners.
void PagePool::touch_owners(std::uint32_t page) {
  for (std::uint32_t block = 0; block < kBlocksPerPage; ++block) {
    if ((pages_[page].published >> block & 1) == 0) continue;
    touch(owners_.at(blocks_[page * kBlocksPerPage + block].key) / kBlocksPerPage);
  }
}

void PagePool::publish(std::uint32_t page, std::uint32_t block, const BlockKey& key,
                       const std::optional<BlockText>& text) {
  Page& entry = at(page);
  TROUPE_CHECK(entry.refs > 0 && block < kBlocksPerPage, "only blocks of a referenced page are published");
  if (!prefix_cache_) return;
  const std::uint32_t number = page * kBlocksPerPage + block;
  const auto bit = static_cast<std::uint8_t>(1U << block);
  if ((entry.published & bit) != 0) {
    TROUPE_CHECK(blocks_[number].key == key, "a published block is immutable");
    return;
  }
  entry.published = static_cast<std::uint8_t>(entry.published | bit);
  Block& added = blocks_[number];
  added = Block{key};
  if (text) {
    TROUPE_CHECK(text->tokens.size() == kBlockTokens, "a block has 16 tokens");
    std::ranges::copy(text->tokens, text_of(number).begin());
    added.branch = twig_key(text->branch, text->tokens.front());
    added.parent = text->parent;
  }
  const auto [owner, first] = owners_.try_emplace(key, number);
  if (first) {
    entry.owned = static_cast<std::uint8_t>(entry.owned | bit);
    events_.push_back({key, true});
    if (text) {
      BlockOrigin& origin = events_.back().origin.emplace();
      origin.parent = text->parent;
      std::ranges::copy(text->tokens, origin.tokens.begin());
    }
    join_branch(number);
    return;
  }
  Block& head = blocks_[owner->second];
  added.previous = owner->second;
  added.next = std::exchange(head.next, number);
  if (added.next != kNone) blocks_[added.next].previous = number;
}

void PagePool::withdraw(std::uint32_t page) {
  for (std::uint32_t block = 0; block < kBlocksPerPage; ++block) {
    if ((pages_[page].published >> block & 1) != 0) withdraw_block(page * kBlocksPerPage + block);
  }
  pages_[page].published = pages_[page].owned = 0;
}

std::span<TokenId> PagePool::text_of(std::uint32_t number) {
  return std::span(texts_).subspan(std::size_t{number} * kBlockTokens, kBlockTokens);
}

void PagePool::join_branch(std::uint32_t number) {
  Block& block = blocks_[number];
  if (!block.branch) return;
  const auto [newest, first] = branches_.try_emplace(*block.branch, number);
  if (first) return;
  block.older = std::exchange(newest->second, number);
  blocks_[block.older].newer = number;
}

void PagePool::leave_branch(std::uint32_t number) {
  Block& block = blocks_[number];
  if (!block.branch) return;
  if (block.older != kNone) blocks_[block.older].newer = block.newer;
  if (block.newer != kNone) {
    blocks_[block.newer].older = block.older;
  } else if (block.older != kNone) {
    branches_[*block.branch] = block.older;
  } else {
    branches_.erase(*block.branch);
  }
  block.newer = block.older = kNone;
}

void PagePool::withdraw_block(std::uint32_t number) {
  if (blocks_[number].previous == kNone) leave_branch(number);
  const Block gone = std::exchange(blocks_[number], Block{});
  if (gone.next != kNone) blocks_[gone.next].previous = gone.previous;
  if (gone.previous != kNone) {
    blocks_[gone.previous].next = gone.next;
  } else if (gone.next !=
             kNone) {  // the owner goes, the next page with this key takes over: still findable, no event
    owners_[gone.key] = gone.next;
    Page& heir = pages_[gone.next / kBlocksPerPage];
    heir.owned = static_cast<std::uint8_t>(heir.owned | 1U << gone.next % kBlocksPerPage);
    join_branch(gone.next);
  } else {
    owners_.erase(gone.key);
    events_.push_back({gone.key, false});
  }
}

void PagePool::seal(std::uint32_t page) {
  TROUPE_CHECK(at(page).refs > 0, "only a referenced page is sealed");
  at(page).sealed = true;
}

void PagePool::reopen(std::uint32_t page) {
  TROUPE_CHECK(at(page).refs == 1 && frozen_slots(page) < kPageTokens,
               "a shared or published page stays sealed");
  at(page).sealed = false;
}

std::uint32_t PagePool::frozen_slots(std::uint32_t page) const {
  return static_cast<std::uint32_t>(std::bit_width(at(page).published)) * kBlockTokens;
}

bool PagePool::is_whole(std::uint32_t page) const {
  constexpr unsigned kAll = (1U << kBlocksPerPage) - 1, kLast = 1U << (kBlocksPerPage - 1);
  return pages_[page].published == kAll && (pages_[page].owned & kLast) != 0;
}

std::optional<PageIdentity> PagePool::whole_page(std::uint32_t page) const {
  if (page >= pages_.size() || !is_whole(page)) return std::nullopt;
  PageIdentity whole;
  const Block* blocks = &blocks_[std::size_t{page} * kBlocksPerPage];
  for (std::uint32_t i = 0; i < kBlocksPerPage; ++i) {
    if (!blocks[i].branch) return std::nullopt;
    whole.keys[i] = blocks[i].key;
  }
  whole.parent = blocks[0].parent;
  const auto texts = texts_.begin() + std::ptrdiff_t{page} * kPageTokens;
  std::copy_n(texts, kPageTokens, whole.tokens.begin());
  return whole;
}

std::optional<std::uint32_t> PagePool::page_with(const BlockKey& key, std::uint32_t block) const {
  const auto found = owners_.find(key);
  if (found == owners_.end() || found->second % kBlocksPerPage != block) return std::nullopt;
  return found->second / kBlocksPerPage;
}

PagePool::Match PagePool::lookup(std::span<const BlockKey> keys) const {
  Match match;
  for (; keys.size() >= kBlocksPerPage; keys = keys.subspan(kBlocksPerPage)) {
    const auto page = page_with(keys[kBlocksPerPage - 1], kBlocksPerPage - 1);
    if (!page) break;
    match.pages.push_back(*page);
  }
  // A key chains over all tokens before it, so the page that holds a later block holds the earlier ones too.
  for (auto block = std::min(keys.size(), std::size_t{kBlocksPerPage - 1}); block > 0 && !match.partial_page;
       --block) {
    match.partial_page = page_with(keys[block - 1], static_cast<std::uint32_t>(block - 1));
    if (match.partial_page) match.blocks = static_cast<std::uint32_t>(block);
  }
  return match;
}

std::optional<PagePool::PartOfBlock> PagePool::lookup_inside(const BlockKey& branch,
                                                             std::span<const TokenId> next) const {
  if (next.empty()) return std::nullopt;
  const auto newest = branches_.find(twig_key(branch, next.front()));
  if (newest == branches_.end()) return std::nullopt;
  PartOfBlock best;
  std::uint32_t number = newest->second;
  for (std::uint32_t seen = 0; number != kNone && seen < kMostSiblings; ++seen) {
    const auto text = std::span(texts_).subspan(std::size_t{number} * kBlockTokens, kBlockTokens);
    const auto differ = std::ranges::mismatch(text, next).in1;
    const auto agreed = static_cast<std::uint32_t>(differ - text.begin());
    if (agreed > best.tokens) best = {number / kBlocksPerPage, agreed};
    number = blocks_[number].older;
  }
  if (best.tokens == 0) return std::nullopt;
  return best;
}

void PagePool::touch(std::uint32_t page) {
  if (!at(page).is_cached) return;
  uncache(page);
  cache(page);
}

std::vector<BlockEvent> PagePool::take_events() {
  return std::exchange(events_, {});
}

std::vector<BlockKey> PagePool::stored_keys() const {
  std::vector<BlockKey> keys;
  keys.reserve(owners_.size());
  for (const auto& [key, number] : owners_) keys.push_back(key);
  return keys;
}

}  // namespace troupe
