#pragma once
// Which KV frames this worker waits for: asked on the data plane's thread, which must answer at once. A frame
// is taken only for the very reservation that it names: whatever was late finds its lease gone, even when the
// same request waits for the same pages from somebody else.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "common/transport/data_plane.hpp"

namespace troupe::worker {

struct Expectation {
  TransferId transfer;
  std::size_t engine = 0;
  RequestId engine_id;
  ModelId model;
};

/// Threads: any. Holds no lock while others are called.
class ImportTable {
 public:
  /// One per lease.
  void expect(const Expectation& what) {
    const std::lock_guard lock(mutex_);
    entries_[what.transfer.lease] = what;
  }
  void forget(LeaseId lease) {
    const std::lock_guard lock(mutex_);
    entries_.erase(lease);
  }
  /// Nothing when no such frame is waited for; it is counted as stale.
  [[nodiscard]] std::optional<Expectation> find(const wire::KvFrame& frame) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(frame.lease);
    if (found != entries_.end() && found->second.model == frame.model &&
        found->second.transfer == TransferId{frame.request, frame.epoch, frame.lease})
      return found->second;
    ++stale_;
    return std::nullopt;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  /// Frames refused so far.
  [[nodiscard]] std::uint64_t stale() const {
    const std::lock_guard lock(mutex_);
    return stale_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<LeaseId, Expectation> entries_;
  std::uint64_t stale_ = 0;
};

}  // namespace troupe::worker
