#pragma once
// What batches count.
#include <array>
#include <cstdint>

#include "common/metrics/registry.hpp"

namespace troupe::gateway {

enum class LineOutcome : std::uint8_t { completed, failed, retried };

struct BatchMetrics {
  explicit BatchMetrics(metrics::Registry& registry);

  std::array<metrics::Counter, 3> lines;  ///< by LineOutcome
  std::array<metrics::Gauge, 2> now;      ///< lines: waiting, running
  std::array<metrics::Gauge, 4> batches;  ///< validating, in_progress, finalizing, cancelling
  metrics::Gauge open;                    ///< 1: the store is at hand
};

}  // namespace troupe::gateway
