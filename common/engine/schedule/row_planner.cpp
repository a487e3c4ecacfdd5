#include "common/engine/schedule/row_planner.hpp"

#include <algorithm>

namespace troupe::engine {

std::vector<std::uint32_t> plan_rows(std::span<const RowDemand> demands, const RowLimits& limits) {
  std::vector<std::uint32_t> rows(demands.size(), 0);
  std::uint32_t used = 0;
  const auto give = [&](std::size_t i, std::uint32_t most) {
    rows[i] = std::min(demands[i].remaining, most);
    used += rows[i];
  };
  const bool prompts_alone =
      limits.policy == SchedulePolicy::prefill_first &&
      std::any_of(demands.begin(), demands.end(), [](const RowDemand& d) { return !d.decoding && d.remaining > 0; });
  if (!prompts_alone) {
    for (std::size_t i = 0; i < demands.size(); ++i)
      if (demands[i].decoding) give(i, std::min(1u, limits.capacity - used));
    for (std::size_t i = 0; i < demands.size(); ++i) {
      if (rows[i] == 0 || !demands[i].decoding || demands[i].drafted > limits.capacity - used) continue;
      rows[i] += demands[i].drafted;
      used += demands[i].drafted;
    }
  }
  const std::uint32_t budget = std::min(limits.budget, limits.capacity);
  const std::uint32_t chunk = prompts_alone ? budget : limits.chunk;
  for (std::size_t i = 0; i < demands.size() && used < budget; ++i)
    if (!demands[i].decoding) give(i, std::min(chunk, budget - used));
  return rows;
}

}  // namespace troupe::engine
