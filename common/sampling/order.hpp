#pragma once
// Sorting candidates best first in time linear in their number.
#include <vector>

#include "common/sampling/candidates.hpp"

namespace troupe {

/// A higher logit, then a lower id.
[[nodiscard]] inline bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/// The same order as std::sort by `better`; ids must differ and no logit may be NaN. Threads: any; scratch is kept per thread.
/// Cost: up to 1024 candidates std::sort, above that three passes (two more unless the ids come in ascending order).
void sort_best_first(std::vector<Candidate>& list);

}  // namespace troupe
