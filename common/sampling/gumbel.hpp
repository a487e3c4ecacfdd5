#pragma once
// Gumbel-max: arg-max of logit / temperature + noise(token) is a draw from the softmax [Gumbel 1954].
#include <span>

#include "common/sampling/candidates.hpp"
#include "common/sampling/philox.hpp"

namespace troupe {

/// Over all tokens; exact, but noise is worked out only for blocks that may hold the winner.
[[nodiscard]] TokenId draw_of_all(std::span<const float> logits, double temperature, const DrawKey& key);
/// Over candidates; `score` must be set. Ties go to the lower id.
[[nodiscard]] TokenId draw_of(std::span<const Candidate> candidates, const DrawKey& key);

}  // namespace troupe
