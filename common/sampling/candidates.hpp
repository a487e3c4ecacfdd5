#pragma once
// Which tokens may be drawn: the filters, over logits already biased and penalised. "Better" is a higher logit, then
// a lower id; every filter is the prefix of a strict order, so the result never depends on how it was found.
#include <cstdint>
#include <span>
#include <vector>

#include "common/sampling/params.hpp"

namespace troupe {

struct Candidate {
  TokenId id = 0;
  float logit = 0.0f;
  double score = 0.0;   ///< logit / temperature
  double weight = 0.0;  ///< exp(score - best score)
};

/// Position of the best logit; NaN never wins.
[[nodiscard]] std::uint32_t best_index(std::span<const float> logits);

/// Sum of exp(logit / temperature - top) over all, in 16 lanes and one merge tree. `weights` [V] gets the terms unless null.
[[nodiscard]] double exp_sum(std::span<const float> logits, double temperature, double top, double* weights);

/// The best `count` (all when fewer), best first. Cost: one pass and O(count log count).
[[nodiscard]] std::vector<Candidate> best_candidates(std::span<const float> logits, std::uint32_t count);

/// Applies top-n-sigma, top-k, typical, top-p and min-p in this order; `temperature` > 0. At least one candidate is left, and
/// weights are of temperature 1 where a dynatemp_range is asked for.
[[nodiscard]] std::vector<Candidate> filter_candidates(std::span<const float> logits, const SamplingParams& params);

/// filter_candidates() with top-k, from the logits that it keeps: best first, without NaN, not empty.
[[nodiscard]] std::vector<Candidate> filter_best(std::span<const TokenLogit> best, const SamplingParams& params);

/// XTC: of those that have at least `threshold` of the weight, none but the worst is left.
void exclude_top(std::vector<Candidate>& list, double threshold);

/// Sets scores by the temperature that the entropy of `list`, which is not empty, asks for, and returns it. 0: the best is taken,
/// and comes first.
[[nodiscard]] double apply_dynamic_temperature(std::vector<Candidate>& list, const SamplingParams& params);

}  // namespace troupe
