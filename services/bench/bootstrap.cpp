#include "services/bench/bootstrap.hpp"

#include <algorithm>

#include "services/bench/random.hpp"
#include "services/bench/summary.hpp"

namespace troupe::load {

Ratio bootstrap_ratio(const std::vector<Pair>& pairs, std::uint64_t seed, std::size_t rounds) {
  std::vector<double> ratios;
  for (const Pair& pair : pairs)
    if (pair.first > 0 && pair.second > 0) ratios.push_back(pair.first / pair.second);
  Ratio out;
  out.pairs = ratios.size();
  if (ratios.empty()) return out;
  std::sort(ratios.begin(), ratios.end());
  out.value = out.low = out.high = percentile(ratios, 0.5);
  if (ratios.size() < 2 || rounds == 0) return out;
  constexpr std::uint64_t kResampling = 5;  // the purpose of its draws
  Random random(seed, kResampling);
  std::vector<double> medians, drawn(ratios.size());
  medians.reserve(rounds);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (double& each : drawn) each = ratios[random.below(ratios.size())];
    std::sort(drawn.begin(), drawn.end());
    medians.push_back(percentile(drawn, 0.5));
  }
  std::sort(medians.begin(), medians.end());
  out.low = percentile(medians, 0.025);
  out.high = percentile(medians, 0.975);
  return out;
}

}  // namespace troupe::load
