#include "services/router/policies/least_loaded.hpp"

#include <algorithm>
#include <tuple>

#include "services/router/policies/able.hpp"

namespace troupe::router {

Expected<Decision> LeastLoaded::choose(const RequestView& request,
                                       std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  const auto rank = [&](std::size_t index) {
    const Candidate& c = candidates[index];
    return std::make_tuple(c.load, c.name, c.node);
  };
  return Decision{*std::ranges::min_element(*able, {}, rank), "load"};
}

}  // namespace troupe::router
