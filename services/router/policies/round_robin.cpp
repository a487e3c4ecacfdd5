#include "services/router/policies/round_robin.hpp"

#include "services/router/policies/able.hpp"

namespace troupe::router {

Expected<Decision> RoundRobin::choose(const RequestView& request,
                                      std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  return Decision{(*able)[request.ticket % able->size()], "load"};
}

}  // namespace troupe::router
