#pragma once
// Stall-free hybrid batching [Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310, algorithm 3]: every decode row goes into
// the step first, then prompt chunks fill what is left of the token budget, in the order given. A long prompt never stalls a
// stream.
#include <cstdint>
#include <span>
#include <vector>

#include "common/engine/schedule/policy.hpp"

namespace troupe::engine {

struct RowDemand {
  std::uint32_t remaining = 0;  ///< tokens that wait to be computed; 1 while decoding
  bool decoding = false;
  std::uint32_t before = 0;     ///< tokens computed already
  std::uint32_t drafted = 0;    ///< rows of guesses beside the one that is decoding: all of them or none
};

struct RowLimits {
  std::uint32_t budget = 0;    ///< rows that prompts may fill up to; decode rows are given beyond it too
  std::uint32_t chunk = 0;     ///< most prompt rows of one sequence
  std::uint32_t capacity = 0;  ///< rows of a step that nothing exceeds
  SchedulePolicy policy = SchedulePolicy::hybrid;
};

/// Rows each entry gets in this step, in the order of `demands`. prefill_first takes whole prompts, as far as the budget goes.
/// Departs from the paper: what is left never goes below zero when the streams alone exceed the budget. Pure.
[[nodiscard]] std::vector<std::uint32_t> plan_rows(std::span<const RowDemand> demands, const RowLimits& limits);

}  // namespace troupe::engine
