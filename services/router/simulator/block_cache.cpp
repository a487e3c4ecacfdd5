#include "services/router/simulator/block_cache.hpp"

#include <utility>

namespace troupe::router {

std::uint32_t BlockCache::match(std::span<const std::uint64_t> blocks) const {
  std::uint32_t found = 0;
  while (found < blocks.size() && blocks_.contains(blocks[found])) ++found;
  return found;
}

void BlockCache::pin(std::span<const std::uint64_t> blocks) {
  for (const std::uint64_t id : blocks) {
    Block& block = blocks_.at(id);
    if (block.uses++ == 0) wake(block);
    block.again = true;
  }
}

void BlockCache::rest(std::uint64_t id, Block& block) {
  block.in_again = block.again;
  std::list<std::uint64_t>& list = block.in_again ? again_ : once_;
  block.place = list.insert(list.end(), id);
  while (again_.size() * 4 > (once_.size() + again_.size()) * 3) {
    Block& oldest = blocks_.at(again_.front());
    oldest.again = oldest.in_again = false;
    once_.splice(once_.end(), again_, again_.begin());
  }
}

void BlockCache::unpin(std::span<const std::uint64_t> blocks) {
  for (std::size_t i = blocks.size(); i-- != 0;) {
    Block& block = blocks_.at(blocks[i]);
    if (--block.uses == 0) rest(blocks[i], block);
  }
}

void BlockCache::seal(std::uint64_t id) {
  const auto [at, fresh] = blocks_.try_emplace(id);
  if (fresh) {
    changes_.stored.push_back(id);
  } else {
    free_ += per_block_;
    if (at->second.uses == 0) wake(at->second);
  }
  ++at->second.uses;
}

bool BlockCache::take(std::uint32_t pages) {
  if (free_ + evictable() < pages) return false;
  while (free_ < pages) {
    std::list<std::uint64_t>& list = once_.empty() ? again_ : once_;
    const std::uint64_t oldest = list.front();
    list.pop_front();
    blocks_.erase(oldest);
    changes_.removed.push_back(oldest);
    free_ += per_block_;
  }
  free_ -= pages;
  return true;
}

std::vector<std::uint64_t> BlockCache::blocks() const {
  std::vector<std::uint64_t> all;
  for (const auto& [id, block] : blocks_) all.push_back(id);
  return all;
}

CacheChanges BlockCache::take_changes() {
  return std::exchange(changes_, {});
}

}  // namespace troupe::router
