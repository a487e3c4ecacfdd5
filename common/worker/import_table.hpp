#pragma once
// Which KV frames and prompts this worker waits for: asked on the data plane's thread, which must answer at
// once.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "common/base/ids.hpp"

namespace troupe::worker {

struct Expectation {
  Epoch epoch;
  std::size_t engine = 0;
  RequestId engine_id;
  ModelId model;
};

/// Threads: any. Holds no lock while others are called.
class ImportTable {
 public:
  void expect(const RequestId& request, const Expectation& what) {
    const std::lock_guard lock(mutex_);
    entries_[request] = what;
  }
  void forget(const RequestId& request, Epoch epoch) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(request);
    if (found != entries_.end() && found->second.epoch == epoch) entries_.erase(found);
  }
  /// Nothing when the request is unknown or its placement is another one.
  [[nodiscard]] std::optional<Expectation> find(const RequestId& request, Epoch epoch) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(request);
    if (found == entries_.end() || found->second.epoch != epoch) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<RequestId, Expectation> entries_;
};

}  // namespace troupe::worker
