#include "common/engine/schedule/step_scheduler.hpp"

#include <algorithm>

namespace troupe::engine {

StepLoad load_of(std::span<const RowDemand> demands, std::span<const std::uint32_t> rows) {
  StepLoad load;
  for (std::size_t i = 0; i < demands.size(); ++i) {
    const StepLoad part = chunk_load(demands[i].before, rows[i]);
    load.rows += part.rows;
    load.context += part.context;
  }
  return load;
}

StepScheduler::Plan StepScheduler::plan(std::span<const RowDemand> demands) const {
  RowLimits limits = limits_;
  limits.budget = budget(demands);
  return {plan_rows(demands, limits), limits.budget};
}

std::uint32_t StepScheduler::budget(std::span<const RowDemand> demands) const {
  const auto streams = static_cast<std::uint32_t>(
      std::count_if(demands.begin(), demands.end(), [](const RowDemand& demand) { return demand.decoding; }));
  if (itl_slo_ <= Duration::zero() || streams == 0 || streams == demands.size()) return limits_.budget;
  const std::uint32_t most = std::min(limits_.budget, limits_.capacity);
  const auto tiles_for = [](std::uint64_t rows) { return static_cast<std::uint32_t>((rows + kTile - 1) / kTile); };
  std::uint32_t fits = tiles_for(streams + kLeastPromptRows);
  const std::uint32_t start = std::min(most, streams + kStartPromptRows);
  if (!model_.ready()) return start;

  const double slo = std::chrono::duration<double>(itl_slo_).count();
  std::uint32_t above = tiles_for(most_mixed_rows_ == 0 ? start : std::min<std::uint64_t>(most, 2 * most_mixed_rows_)) + 1;
  while (fits + 1 < above) {
    const std::uint32_t tiles = fits + (above - fits) / 2;
    RowLimits limits = limits_;
    limits.budget = std::min(most, tiles * kTile);
    const bool meets = model_.predict(load_of(demands, plan_rows(demands, limits))) <= slo;
    (meets ? fits : above) = tiles;
  }
  return std::min(most, fits * kTile);
}

}  // namespace troupe::engine
