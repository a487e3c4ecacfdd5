#pragma once
// The publisher's side: numbers batches from 0 and keeps the latest for those who missed some.
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace troupe::kv_events {

using Payload = std::shared_ptr<const std::vector<std::uint8_t>>;

struct LogEntry {
  std::uint64_t sequence = 0;
  Payload payload;
};

/// Threads: one. Cost: O(1) per batch.
class EventLog {
 public:
  explicit EventLog(std::size_t max_batches = 10000, std::size_t max_bytes = std::size_t{64} << 20)
      : max_batches_(max_batches), max_bytes_(max_bytes) {}

  [[nodiscard]] LogEntry append(std::vector<std::uint8_t> payload);
  /// What is kept from `sequence` on, ascending; it begins later when older ones are gone.
  [[nodiscard]] std::vector<LogEntry> since(std::uint64_t sequence) const;
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t max_batches_, max_bytes_;
  std::deque<LogEntry> entries_;
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace troupe::kv_events
