#pragma once
// A placement by perfect knowledge, as a yardstick: it sees every worker as it is now, caches included, knows
// how long every answer will be, and tries the request on each by running its steps ahead.
#include <cstdint>
#include <vector>

#include "services/router/simulator/worker_model.hpp"

namespace troupe::router {

/// A worker and when its current step ends.
struct OracleWorker {
  const WorkerModel* model = nullptr;
  Duration step_left{};
  /// Placed and still on the line.
  std::uint64_t coming_tokens = 0;
};

/// Microseconds until the first token of `request` there.
[[nodiscard]] double foreseen_first_token(const OracleWorker& worker, const Sequence& request);

/// The worker with the least foreseen first token and cost to others; `workers` is not empty.
[[nodiscard]] std::size_t oracle_choice(const std::vector<OracleWorker>& workers, const Sequence& request);

}  // namespace troupe::router
