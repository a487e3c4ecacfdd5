#pragma once
// DRY ("don't repeat yourself", p-e-w 2024, as llama.cpp has it): what would prolong a run of tokens that
// stood before is pushed down, and the more, the longer the run. Unlike the other penalties it knows the
// order of tokens.
#include <span>
#include <utility>
#include <vector>

#include "common/sampling/params.hpp"

namespace troupe {

/// What to take off which tokens' logits, tokens ascending. A run is the longest one that ends `tokens` and
/// stands earlier in its last `last_n`, without a breaker in it; the token behind the earlier place pays by
/// the longest of its runs. Cost: O(tokens looked at). Threads: any.
[[nodiscard]] std::vector<std::pair<TokenId, float>> dry_penalties(std::span<const TokenId> tokens,
                                                                   const DryParams& dry);

}  // namespace troupe
