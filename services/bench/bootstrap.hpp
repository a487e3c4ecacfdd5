#pragma once
// How sure a ratio is, from few repeats: the percentile bootstrap (Efron 1979, "Bootstrap methods: another
// look at the jackknife"), seeded.
#include <cstdint>
#include <vector>

namespace troupe::load {

/// One figure of both endpoints, from two blocks run one after the other.
struct Pair {
  double first = 0, second = 0;
};

struct Ratio {
  double value = 0;          ///< the median of first / second over the pairs
  double low = 0, high = 0;  ///< 95 % of the resampled medians lie within
  std::size_t pairs = 0;     ///< that count: both figures above 0
};

/// Pairs are drawn whole, so that what disturbed both blocks of one cancels. Fewer than two pairs have no
/// interval: low and high are the value. Cost: O(rounds * pairs).
[[nodiscard]] Ratio bootstrap_ratio(const std::vector<Pair>& pairs, std::uint64_t seed,
                                    std::size_t rounds = 4000);

}  // namespace troupe::load
