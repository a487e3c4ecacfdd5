#pragma once
// What a worker that tells nothing probably holds: the blocks of what was placed there, the latest used last
// to go. Bounded by what its cache can hold and by time.
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

/// Threads: one. Cost: O(1) per block, amortised.
class Predictions {
 public:
  /// These are used now. Returns which of them are new.
  [[nodiscard]] std::vector<BlockKey> use(std::span<const BlockKey> blocks, TimePoint now);
  /// Drops and returns the longest unused ones while there are more than `most`, and all not used since then.
  [[nodiscard]] std::vector<BlockKey> drop(std::size_t most, TimePoint since);
  /// Drops and returns the longest unused ones while there are more than `most`, but none used after `until`.
  [[nodiscard]] std::vector<BlockKey> drop_settled(std::size_t most, TimePoint until);
  [[nodiscard]] std::size_t size() const { return uses_.size(); }

 private:
  struct Use {
    BlockKey key;
    std::uint64_t number;
    TimePoint when;
  };
  void forget_oldest(std::vector<BlockKey>& dropped);
  std::unordered_map<BlockKey, std::uint64_t> uses_;  // key -> number of its latest use
  std::deque<Use> order_;                             // oldest first; entries with an older number are void
  std::uint64_t next_ = 0;
};

}  // namespace troupe::router
