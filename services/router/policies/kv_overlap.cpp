#include "services/router/policies/kv_overlap.hpp"

#include <algorithm>
#include <tuple>

#include "services/router/policies/able.hpp"
#include "services/router/policies/draw.hpp"

namespace troupe::router {
namespace {
constexpr double kOverlapWeight = 1;
}

Expected<Decision> KvOverlap::choose(const RequestView& request,
                                     std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  const auto rank = [&](std::size_t i) {
    const Candidate& c = candidates[i];
    const double missing = request.prompt_tokens - std::min(request.prompt_tokens, c.cached_tokens);
    const double in_use = c.pages_total - std::min(c.pages_total, c.pages_available);
    const double cost = kOverlapWeight * (c.queued_tokens + missing) +
                        in_use * static_cast<double>(kPageTokens) + request.prompt_tokens;
    return std::make_tuple(cost, rendezvous(request.ticket, c.node));
  };
  const std::size_t best = *std::ranges::min_element(*able, {}, rank);
  return Decision{best, candidates[best].cached_tokens != 0 ? "prefix" : "load"};
}

}  // namespace troupe::router
