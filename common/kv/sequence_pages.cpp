#include "common/kv/sequence_pages.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace troupe {
namespace {

// Not (tokens + 63) / 64: a length near the top of the range must not wrap.
std::uint32_t pages_for(std::uint32_t tokens) {
  return tokens / kPageTokens + (tokens % kPageTokens != 0 ? 1 : 0);
}

}  // namespace

SequencePages::SequencePages(PagePool& pool, const BlockKey& root, std::string policy)
    : pool_(&pool), root_(root), policy_(std::move(policy)) {}

SequencePages::SequencePages(SequencePages&& other) noexcept
    : pool_(other.pool_),
      root_(other.root_),
      policy_(other.policy_),
      tokens_(std::exchange(other.tokens_, {})),
      pages_(std::exchange(other.pages_, {})),
      positions_(std::exchange(other.positions_, {})),
      keys_(std::exchange(other.keys_, {})),
      spare_(std::exchange(other.spare_, std::nullopt)),
      computed_(std::exchange(other.computed_, 0)),
      first_moved_(std::exchange(other.first_moved_, kNowhere)) {}

SequencePages& SequencePages::operator=(SequencePages&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = other.pool_;
  root_ = other.root_;
  policy_ = other.policy_;
  tokens_.swap(other.tokens_);
  pages_.swap(other.pages_);
  positions_.swap(other.positions_);
  keys_.swap(other.keys_);
  std::swap(spare_, other.spare_);
  std::swap(computed_, other.computed_);
  std::swap(first_moved_, other.first_moved_);
  return *this;
}

SequencePages::~SequencePages() {
  release();
}

std::optional<CopyPage> SequencePages::adopt(std::span<const TokenId> prompt, std::uint32_t max_tokens,
                                             bool& ok) {
  TROUPE_CHECK(pages_.empty() && tokens_.empty(), "only an empty sequence adopts");
  ok = true;
  if (!pool_->prefix_cache()) return std::nullopt;
  prompt = prompt.first(std::min<std::size_t>(prompt.size(), max_tokens));
  BlockKey parent = root_;
  for (std::size_t at = 0; at + kBlockTokens <= prompt.size(); at += kBlockTokens) {
    keys_.push_back(parent = block_key(parent, prompt.subspan(at, kBlockTokens), policy_));
  }
  PagePool::Match match = pool_->lookup(keys_);
  // Where the prompt leaves the tree of blocks, part of a block may still agree; the page that holds that one
  // holds the blocks before it too.
  const auto part =
      pool_->lookup_inside(branch_before(match.tokens() / kBlockTokens), prompt.subspan(match.tokens()));
  if (part) match.partial_page = part->page;
  pages_ = match.pages;
  for (const std::uint32_t page : pages_) pool_->ref_found(page);

  std::optional<CopyPage> copy;
  if (match.partial_page) {
    pool_->ref_found(*match.partial_page);  // or the allocation could evict the very page to copy from
    if (const auto page = pool_->allocate()) {
      copy = CopyPage{*match.partial_page, *page};
      pages_.push_back(*page);
    }
    pool_->unref(*match.partial_page);
    ok = copy.has_value();
  }
  computed_ = static_cast<std::uint32_t>(match.pages.size()) * kPageTokens;
  if (copy) computed_ += match.blocks * kBlockTokens + (part ? part->tokens : 0);
  keys_.resize(computed_ / kBlockTokens);
  tokens_.assign(prompt.begin(), prompt.begin() + computed_);
  return copy;
}

BlockKey SequencePages::branch_before(std::uint32_t index) const {
  return block_key(index == 0 ? root_ : keys_[index - 1], {}, policy_);
}

bool SequencePages::needs_copy() const {
  const std::uint32_t used = length() % kPageTokens;
  if (used == 0) return false;
  const std::uint32_t page = pages_[length() / kPageTokens];
  return pool_->refcount(page) > 1 || pool_->frozen_slots(page) > used;
}

std::uint32_t SequencePages::pages_needed(std::uint32_t wanted) const {
  const auto held = static_cast<std::uint32_t>(pages_.size());
  const std::uint32_t pages = pages_for(wanted) > held ? pages_for(wanted) - held : 0;
  return pages + (wanted > length() && !spare_ && needs_copy() ? 1 : 0);
}

Expected<void> SequencePages::reserve(std::uint32_t wanted) {
  const std::uint32_t needed = pages_needed(wanted);
  if (needed > pool_->available()) {
    return fail(Errc::out_of_pages, std::to_string(wanted) + " tokens need " + std::to_string(needed) +
                                        " more pages, " + std::to_string(pool_->available()) + " of " +
                                        std::to_string(pool_->total()) + " are available");
  }
  if (wanted > length() && !spare_ && needs_copy()) spare_ = pool_->allocate();
  while (pages_.size() < pages_for(wanted)) pages_.push_back(*pool_->allocate());
  return {};
}

std::optional<CopyPage> SequencePages::append(std::span<const TokenId> tokens) {
  if (tokens.empty()) return std::nullopt;
  const std::size_t room = pages_.size() * kPageTokens - tokens_.size();
  TROUPE_CHECK(tokens.size() <= room, "append goes beyond the reserved pages");
  std::optional<CopyPage> copy;
  if (length() % kPageTokens != 0) {
    std::uint32_t& page = pages_[length() / kPageTokens];
    if (needs_copy()) {
      if (!spare_) spare_ = pool_->allocate();  // a fork came after reserve
      TROUPE_CHECK(spare_.has_value(), "append needs a page for its copy: reserve after a fork");
      copy = CopyPage{page, *spare_};
      pool_->unref(std::exchange(page, *std::exchange(spare_, std::nullopt)));
    } else if (pool_->sealed(page)) {
      pool_->reopen(page);
    }
  }
  drop_spare();
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return copy;
}

void SequencePages::computed(std::uint32_t length) {
  TROUPE_CHECK(length <= tokens_.size(), "KV computed of tokens that do not exist");
  if (length <= computed_) return;
  // From the start of the page: blocks copied into it are published together with its first own block.
  std::uint32_t block = computed_ / kPageTokens * kBlocksPerPage;
  const bool new_block = length / kBlockTokens > computed_ / kBlockTokens;
  const std::uint32_t end =
      pool_->prefix_cache() && new_block ? std::min(length, first_moved_) / kBlockTokens : 0;
  for (; block < end; ++block) {
    if (block == keys_.size()) {
      const std::span<const TokenId> ids(tokens_.data() + std::size_t{block} * kBlockTokens, kBlockTokens);
      keys_.push_back(block_key(block == 0 ? root_ : keys_.back(), ids, policy_));
    }
    const PagePool::BlockText text{branch_before(block),
                                   std::span(tokens_).subspan(std::size_t{block} * kBlockTokens, kBlockTokens),
                                   block == 0 ? std::nullopt : std::optional(keys_[block - 1])};
    pool_->publish(pages_[block / kBlocksPerPage], block % kBlocksPerPage, keys_[block], text);
  }
  for (std::uint32_t page = computed_ / kPageTokens; page < length / kPageTokens; ++page)
    pool_->seal(pages_[page]);
  computed_ = length;
}

SequencePages SequencePages::fork() const {
  SequencePages child(*pool_, root_, policy_);
  child.tokens_ = tokens_;
  child.pages_.assign(pages_.begin(), pages_.begin() + pages_for(length()));
  for (const std::uint32_t page : child.pages_) pool_->ref(page);
  child.positions_ = positions_;
  child.keys_ = keys_;
  child.computed_ = computed_;
  child.first_moved_ = first_moved_;
  return child;
}

void SequencePages::truncate(std::uint32_t length) {
  TROUPE_CHECK(length <= tokens_.size(), "truncate cannot lengthen");
  drop_spare();
  drop_pages(pages_for(length));
  tokens_.resize(length);
  positions_.resize(std::min<std::size_t>(positions_.size(), length));
  computed_ = std::min(computed_, length);
  keys_.resize(std::min<std::size_t>(keys_.size(), computed_ / kBlockTokens));
  if (first_moved_ >= length) first_moved_ = kNowhere;
}

void SequencePages::rewind(std::uint32_t length) {
  TROUPE_CHECK(length >= computed_ && length <= tokens_.size(), "only tokens that are not computed are rewound");
  tokens_.resize(length);
  positions_.resize(std::min<std::size_t>(positions_.size(), length));
  if (first_moved_ >= length) first_moved_ = kNowhere;
}

void SequencePages::set_position(std::uint32_t index, std::uint32_t position) {
  TROUPE_CHECK(index < tokens_.size() && index >= computed_, "a position is set between append and computed");
  const std::uint32_t page = pages_[index / kPageTokens];
  TROUPE_CHECK(pool_->refcount(page) == 1 && index % kPageTokens >= pool_->frozen_slots(page),
               "a position is set in a page of one sequence, behind its published blocks");
  for (auto next = static_cast<std::uint32_t>(positions_.size()); next <= index; ++next)
    positions_.push_back(next);
  positions_[index] = position;
  if (position != index) first_moved_ = std::min(first_moved_, index);
}

void SequencePages::set_unnamed(std::uint32_t index) {
  TROUPE_CHECK(index < tokens_.size() && index >= computed_, "what is appended and not computed can be unnamed");
  first_moved_ = std::min(first_moved_, index);
}

/// Last page first: when pages run out the end of a prefix goes before its beginning.
void SequencePages::drop_pages(std::size_t keep) {
  for (; pages_.size() > keep; pages_.pop_back()) pool_->unref(pages_.back());
}

void SequencePages::drop_spare() {
  if (spare_) pool_->unref(*std::exchange(spare_, std::nullopt));
}

}  // namespace troupe
