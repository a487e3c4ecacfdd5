#include "common/engine/row_planner.hpp"

#include <algorithm>

namespace troupe::engine {

std::vector<std::uint32_t> plan_rows(std::span<const RowDemand> demands, std::uint32_t budget, std::uint32_t chunk) {
  std::vector<std::uint32_t> rows(demands.size(), 0);
  const auto give = [&](std::size_t i, std::uint32_t most) {
    rows[i] = std::min({demands[i].remaining, budget, most});
    budget -= rows[i];
  };
  for (std::size_t i = 0; i < demands.size(); ++i)
    if (demands[i].decoding) give(i, 1);
  for (std::size_t i = 0; i < demands.size(); ++i)
    if (!demands[i].decoding) give(i, chunk);
  return rows;
}

}  // namespace troupe::engine
