#include "common/speculation/choose_rows.hpp"

#include <algorithm>
#include <map>

namespace troupe::speculation {
namespace {

struct Node {
  double probability;
  std::size_t proposal, index;
};

/// Seconds per row, averaged over a draft of this many.
double row_price(const StepSeconds& seconds, std::uint32_t rows) {
  return rows == 0 ? 0 : std::max(0.0, seconds(rows) - seconds(0)) / rows;
}

/// Expected tokens above what the rows cost in tokens; only rows that pay are counted.
double worth(const Proposal& proposal, double tokens_per_row) {
  double worth = 0;
  for (const double p : proposal.probability) worth += std::max(0.0, p - tokens_per_row);
  return worth;
}

/// Of each stream, the proposal worth most; the first of equals.
std::vector<std::size_t> best_of_streams(std::span<const Proposal> proposals, std::size_t streams,
                                         const StepSeconds& seconds) {
  const double rate = static_cast<double>(streams) / seconds(0);
  std::map<std::size_t, std::pair<double, std::size_t>> best;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    const double value = worth(proposals[i], rate * row_price(seconds, proposals[i].draft->size()));
    const auto [at, fresh] = best.try_emplace(proposals[i].stream, value, i);
    if (!fresh && value > at->second.first) at->second = {value, i};
  }
  std::vector<std::size_t> chosen;
  for (const auto& [stream, value] : best) chosen.push_back(value.second);
  return chosen;
}

}  // namespace

std::vector<std::vector<bool>> choose_rows(std::span<const Proposal> proposals, std::size_t streams,
                                           const StepSeconds& seconds, std::uint32_t most_rows,
                                           double least_gain) {
  std::vector<std::vector<bool>> kept;
  for (const Proposal& proposal : proposals) kept.emplace_back(proposal.draft->nodes.size(), false);
  const double alone = seconds(0);
  if (streams == 0 || !(alone > 0)) return kept;
  std::vector<Node> nodes;
  for (const std::size_t i : best_of_streams(proposals, streams, seconds))
    for (std::size_t n = 0; n < proposals[i].probability.size(); ++n)
      nodes.push_back({proposals[i].probability[n], i, n});
  // Parents come before children: they are at least as probable, and stand before them.
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const Node& a, const Node& b) { return a.probability > b.probability; });
  double tokens = static_cast<double>(streams), best_rate = tokens / alone * least_gain;
  std::size_t best = 0;
  for (std::size_t taken = 1; taken <= std::min<std::size_t>(nodes.size(), most_rows); ++taken) {
    tokens += nodes[taken - 1].probability;
    const double rate = tokens / seconds(static_cast<std::uint32_t>(taken));
    if (rate <= best_rate) continue;
    best_rate = rate;
    best = taken;
  }
  for (std::size_t i = 0; i < best; ++i) kept[nodes[i].proposal][nodes[i].index] = true;
  return kept;
}

bool could_pay(std::size_t streams, const StepSeconds& seconds, std::uint32_t most_rows) {
  const double alone = seconds(0), tokens = static_cast<double>(streams);
  if (streams == 0 || !(alone > 0)) return false;
  for (std::uint32_t rows = 1; rows <= most_rows; rows *= 2)
    if ((tokens + rows) / seconds(rows) > tokens / alone * kLeastGain) return true;
  return (tokens + most_rows) / seconds(most_rows) > tokens / alone * kLeastGain;
}

}  // namespace troupe::speculation
