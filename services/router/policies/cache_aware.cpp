#include "services/router/policies/cache_aware.hpp"

#include <algorithm>
#include <tuple>

#include "services/router/policies/able.hpp"

namespace troupe::router {
namespace {
constexpr double kLeastMatch = 0.5;
constexpr std::uint32_t kMostApart = 32;
constexpr double kMostTimes = 1.0001;
}  // namespace

Expected<Decision> CacheAware::choose(const RequestView& request,
                                      std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  const auto load = [&](std::size_t i) { return candidates[i].load; };
  const auto [shortest, longest] = std::ranges::minmax(*able, {}, load);
  if (load(longest) - load(shortest) > kMostApart && load(longest) > kMostTimes * load(shortest))
    return Decision{shortest, "load"};
  const std::size_t best = *std::ranges::max_element(*able, {}, [&](std::size_t i) {
    return std::make_tuple(candidates[i].cached_tokens, ~candidates[i].load);
  });
  if (candidates[best].cached_tokens > kLeastMatch * request.prompt_tokens) return Decision{best, "prefix"};
  const std::size_t emptiest = *std::ranges::max_element(*able, {}, [&](std::size_t i) {
    return std::make_tuple(candidates[i].pages_free, ~candidates[i].load);
  });
  return Decision{emptiest, "load"};
}

}  // namespace troupe::router
