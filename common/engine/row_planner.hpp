#pragma once
// Stall-free hybrid batching [Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310, algorithm 3]: every decode row goes into
// the step first, then prompt chunks fill what is left of the token budget, oldest first. A long prompt never stalls a stream.
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::engine {

struct RowDemand {
  std::uint32_t remaining = 0;  ///< tokens that wait to be computed; 1 while decoding
  bool decoding = false;
};

/// Rows each entry gets in this step, in the order of `demands` (oldest first). Departs from the paper: the budget is given,
/// not derived from an SLO. Pure.
[[nodiscard]] std::vector<std::uint32_t> plan_rows(std::span<const RowDemand> demands, std::uint32_t budget, std::uint32_t chunk);

}  // namespace troupe::engine
