#include "services/router/predictions.hpp"

namespace troupe::router {

std::vector<BlockKey> Predictions::use(std::span<const BlockKey> blocks, TimePoint now) {
  std::vector<BlockKey> fresh;
  // The last block first: of one prompt, the end goes before the beginning, as in a cache of pages.
  for (std::size_t i = blocks.size(); i-- != 0;) {
    const auto [at, is_new] = uses_.insert_or_assign(blocks[i], next_);
    if (is_new) fresh.push_back(blocks[i]);
    order_.push_back({blocks[i], next_++, now});
  }
  while (order_.size() > 2 * uses_.size() + 64) {  // void ones pile up behind blocks that are used often
    std::deque<Use> kept;
    for (const Use& use : order_)
      if (const auto at = uses_.find(use.key); at != uses_.end() && at->second == use.number) kept.push_back(use);
    order_ = std::move(kept);
  }
  return fresh;
}

void Predictions::forget_oldest(std::vector<BlockKey>& dropped) {
  const Use& oldest = order_.front();
  const auto at = uses_.find(oldest.key);
  if (at != uses_.end() && at->second == oldest.number) {
    dropped.push_back(oldest.key);
    uses_.erase(at);
  }
  order_.pop_front();
}

std::vector<BlockKey> Predictions::drop(std::size_t most, TimePoint since) {
  std::vector<BlockKey> dropped;
  while (!order_.empty() && (uses_.size() > most || order_.front().when < since)) forget_oldest(dropped);
  return dropped;
}

std::vector<BlockKey> Predictions::drop_settled(std::size_t most, TimePoint until) {
  std::vector<BlockKey> dropped;
  while (!order_.empty() && uses_.size() > most && order_.front().when <= until) forget_oldest(dropped);
  return dropped;
}

}  // namespace troupe::router
