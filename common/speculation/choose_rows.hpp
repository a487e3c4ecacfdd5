#pragma once
// Which drafts a step verifies, and how much of each, by what rows cost and how likely they are accepted.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/speculation/draft.hpp"

namespace troupe::speculation {

/// Seconds a step takes with so many rows beyond those it has anyway.
using StepSeconds = std::function<double(std::uint32_t extra_rows)>;

inline constexpr double kLeastGain = 1.03;  ///< below it, noise in what was measured decides

/// A draft for one stream, with the probability that each node is accepted: never above its parent's.
struct Proposal {
  std::size_t stream = 0;
  const DraftTree* draft = nullptr;
  std::vector<double> probability;  ///< [nodes] of being emitted
};

/// `streams` tokens are made by the step anyway. Keeps the nodes that make most tokens a second: they are
/// taken in order of probability as long as their number raises the rate; none when the best rate is under
/// `least_gain` times that of no draft. Of a stream's proposals the one worth most at the price of a row is
/// considered. At most `most_rows` nodes. Returns the kept nodes of each proposal. Pure. Cost: O(N log N) for
/// N nodes.
[[nodiscard]] std::vector<std::vector<bool>> choose_rows(std::span<const Proposal> proposals,
                                                         std::size_t streams, const StepSeconds& seconds,
                                                         std::uint32_t most_rows,
                                                         double least_gain = kLeastGain);

/// Whether any draft could pay: even one that is always accepted makes no more tokens a second where rows
/// cost too much.
[[nodiscard]] bool could_pay(std::size_t streams, const StepSeconds& seconds, std::uint32_t most_rows);

}  // namespace troupe::speculation
