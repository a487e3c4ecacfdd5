#include "services/router/policies/random_worker.hpp"

#include "services/router/policies/able.hpp"
#include "services/router/policies/draw.hpp"

namespace troupe::router {

Expected<Decision> RandomWorker::choose(const RequestView& request,
                                        std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  return Decision{(*able)[mixed(request.ticket) % able->size()], "load"};
}

}  // namespace troupe::router
