#include "common/kv_events/event_log.hpp"

#include <algorithm>

namespace troupe::kv_events {

LogEntry EventLog::append(std::vector<std::uint8_t> payload) {
  const LogEntry entry{next_++, std::make_shared<const std::vector<std::uint8_t>>(std::move(payload))};
  bytes_ += entry.payload->size();
  entries_.push_back(entry);
  while (!entries_.empty() && (entries_.size() > max_batches_ || bytes_ > max_bytes_)) {
    bytes_ -= entries_.front().payload->size();
    entries_.pop_front();
  }
  return entry;
}

std::vector<LogEntry> EventLog::since(std::uint64_t sequence) const {
  const std::uint64_t first = next_ - entries_.size();
  const std::uint64_t skip = std::min<std::uint64_t>(std::max(sequence, first) - first, entries_.size());
  return {entries_.begin() + static_cast<std::ptrdiff_t>(skip), entries_.end()};
}

}  // namespace troupe::kv_events
