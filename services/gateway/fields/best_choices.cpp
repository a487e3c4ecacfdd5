#include "services/gateway/fields/best_choices.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::gateway {

std::vector<std::size_t> best_choices(std::span<const double> scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(order.size(), count));
  return order;
}

}  // namespace troupe::gateway
