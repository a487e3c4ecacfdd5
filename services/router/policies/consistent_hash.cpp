#include "services/router/policies/consistent_hash.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "services/router/policies/able.hpp"
#include "services/router/policies/draw.hpp"

namespace troupe::router {
namespace {
constexpr double kBound = 1.25;  // times the mean load
}

Expected<Decision> ConsistentHash::choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  double load = request.choices;
  for (const std::size_t i : *able) load += candidates[i].load;
  const double bound = std::ceil(kBound * load / static_cast<double>(able->size()));
  const auto rank = [&](std::size_t i) {
    const Candidate& c = candidates[i];
    const bool over = c.load + request.choices > bound;
    return std::make_tuple(over, over ? c.load : 0, ~rendezvous(request.prefix_hash, c.node));
  };
  return Decision{*std::ranges::min_element(*able, {}, rank), "load"};
}

}  // namespace troupe::router
