#include "common/draft/draft_desk.hpp"

#include <utility>

namespace troupe::draft {

using speculation::DraftAnswer;
using speculation::DraftOrder;
using speculation::SequenceNumber;

bool DraftDesk::order(DraftOrder order) {
  std::unique_lock lock(mutex_);
  if (!open_) return false;
  if (!sequences_.contains(order.sequence) && sequences_.size() >= most_sequences_) return false;
  sequences_[order.sequence].reset();
  orders_[order.sequence] = std::move(order);
  ring(lock);
  return true;
}

std::optional<DraftAnswer> DraftDesk::take(SequenceNumber sequence) {
  const std::lock_guard lock(mutex_);
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? std::nullopt : std::exchange(found->second, std::nullopt);
}

void DraftDesk::forget(SequenceNumber sequence) {
  std::unique_lock lock(mutex_);
  if (sequences_.erase(sequence) == 0) return;
  orders_.erase(sequence);
  forgotten_.push_back(sequence);
  ring(lock);
}

DraftDesk::Orders DraftDesk::take_orders() {
  const std::lock_guard lock(mutex_);
  rung_ = false;
  Orders out;
  for (auto& [sequence, order] : orders_) out.orders.push_back(std::move(order));
  orders_.clear();
  out.forgotten = std::exchange(forgotten_, {});
  return out;
}

void DraftDesk::put(SequenceNumber sequence, DraftAnswer answer) {
  const std::lock_guard lock(mutex_);
  if (const auto found = sequences_.find(sequence); found != sequences_.end())
    found->second = std::move(answer);
}

void DraftDesk::open(bool is_open) {
  const std::lock_guard lock(mutex_);
  open_ = is_open;
}

void DraftDesk::on_orders(std::function<void()> wake) {
  std::unique_lock lock(mutex_);
  wake_ = std::move(wake);
  if (std::exchange(rung_, false)) ring(lock);
}

/// Lets the lock go and wakes the carrier, once for all that lies here.
void DraftDesk::ring(std::unique_lock<std::mutex>& lock) {
  if (std::exchange(rung_, true)) return;
  const std::function<void()> wake = wake_;
  lock.unlock();
  if (wake) wake();
}

}  // namespace troupe::draft
