#include "services/gateway/batches/line_schedule.hpp"

#include <algorithm>
#include <tuple>

namespace troupe::gateway {

void LineSchedule::add(std::int64_t serial, const RequestId& owner) {
  Entry& entry = batches_[serial];
  entry.owner = owner;
  entry.removed = false;
}

void LineSchedule::remove(std::int64_t serial) {
  const auto found = batches_.find(serial);
  if (found == batches_.end()) return;
  found->second.waiting.clear();
  found->second.removed = true;
  if (found->second.running == 0) batches_.erase(found);
}

void LineSchedule::plan(std::int64_t serial, std::span<const std::int64_t> lines) {
  const auto found = batches_.find(serial);
  if (found == batches_.end() || found->second.removed) return;
  found->second.waiting.insert(found->second.waiting.end(), lines.begin(), lines.end());
}

std::optional<LineRef> LineSchedule::next(TimePoint now) {
  if (now < paused_until_ || running_ >= limit()) return std::nullopt;
  auto best = batches_.end();
  std::tuple<std::size_t, std::uint64_t> least;
  for (auto at = batches_.begin(); at != batches_.end(); ++at) {
    if (at->second.waiting.empty()) continue;
    const Share& share = shares_[at->second.owner];
    const std::tuple rank(share.running, share.served);
    if (best != batches_.end() && !(rank < least)) continue;  // of one owner the earliest
    best = at;
    least = rank;
  }
  if (best == batches_.end()) return std::nullopt;
  Entry& entry = best->second;
  const LineRef line{best->first, entry.waiting.front()};
  entry.waiting.pop_front();
  ++entry.running;
  ++running_;
  Share& share = shares_[entry.owner];
  ++share.running;
  share.served = ++turn_;
  return line;
}

void LineSchedule::leave(const LineRef& line) {
  const auto found = batches_.find(line.batch);
  if (found == batches_.end() || found->second.running == 0) return;
  const RequestId owner = found->second.owner;
  --found->second.running;
  --running_;
  const bool last_of_owner = --shares_[owner].running == 0;
  if (found->second.removed && found->second.running == 0) batches_.erase(found);
  const bool known = std::ranges::any_of(batches_, [&](const auto& at) { return at.second.owner == owner; });
  if (last_of_owner && !known) shares_.erase(owner);
}

void LineSchedule::ended(const LineRef& line) {
  leave(line);
  pause_ = options_.first_pause;
  limit_ = std::min(static_cast<double>(options_.most_running), limit_ + 1.0 / limit_);
}

void LineSchedule::refused(const LineRef& line, TimePoint now, Duration at_least) {
  if (const auto found = batches_.find(line.batch); found != batches_.end() && !found->second.removed)
    found->second.waiting.push_front(line.line);
  leave(line);
  if (now < paused_until_) {  // those that began together are refused together: that is one refusal
    paused_until_ = std::max(paused_until_, now + at_least);
    return;
  }
  paused_until_ = now + std::max(pause_, at_least);
  pause_ = std::min(options_.longest_pause, pause_ * 2);
  limit_ = std::max(1.0, limit_ / 2);
}

std::size_t LineSchedule::waiting(std::int64_t serial) const {
  const auto found = batches_.find(serial);
  return found == batches_.end() ? 0 : found->second.waiting.size();
}

std::size_t LineSchedule::running(std::int64_t serial) const {
  const auto found = batches_.find(serial);
  return found == batches_.end() ? 0 : found->second.running;
}

std::size_t LineSchedule::waiting() const {
  std::size_t sum = 0;
  for (const auto& [serial, entry] : batches_) sum += entry.waiting.size();
  return sum;
}

}  // namespace troupe::gateway
