#include "common/engine/schedule/preemption.hpp"

#include <algorithm>

namespace troupe::engine {

double PreemptionCost::recompute_seconds(std::uint32_t tokens, std::uint32_t rows, const StepTimeModel& steps) const {
  if (tokens == 0) return 0;
  const std::uint32_t further_steps = (tokens - 1) / std::max(1u, rows);
  return steps.predict(chunk_load(0, tokens)) + further_steps * steps.coefficients().fixed;
}

bool PreemptionCost::swaps(std::uint32_t tokens, std::uint64_t bytes, std::uint32_t rows, const StepTimeModel& steps) const {
  if (tokens == 0 || policy_ == PreemptionPolicy::recompute) return false;
  if (policy_ == PreemptionPolicy::swap) return true;
  return steps.ready() && swap_seconds(bytes) < recompute_seconds(tokens, rows, steps);
}

void PreemptionCost::copied(std::uint64_t bytes, Duration time) {
  constexpr double kNewest = 0.25;
  const double seconds = std::chrono::duration<double>(time).count();
  if (bytes == 0 || !(seconds > 0)) return;
  // Times are averaged, not rates: a stalled copy counts for what it cost.
  const double before = 1 / bytes_per_second_, measured = std::min(seconds / static_cast<double>(bytes), 8 * before);
  bytes_per_second_ = 1 / (before + kNewest * (measured - before));
}

}  // namespace troupe::engine
