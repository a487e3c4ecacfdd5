#pragma once
// Traffic that is described by a few numbers, as a trace: for planning before there is anything to record.
#include <cstdint>

#include "services/router/simulator/trace.hpp"

namespace troupe::router {

struct TrafficOptions {
  std::uint64_t seed = 1;
  double rate = 1;  ///< requests a second, by a Poisson process
  Duration span = std::chrono::minutes(5);
  std::uint32_t prompt_tokens = 1024;  ///< mean
  std::uint32_t answer_tokens = 200;   ///< mean
  double shared = 0;                   ///< of a mean prompt, the part that it begins with as others do
  std::uint32_t beginnings = 4;        ///< how many different ones there are, equally frequent
  std::uint32_t block_tokens = 64;
};

/// What a prompt has of its own is uniform within half of its mean around it; answers are exponential, so
/// that a few are long. At least one request. The same options give the same trace.
[[nodiscard]] Trace traffic_trace(const TrafficOptions& options);

}  // namespace troupe::router
