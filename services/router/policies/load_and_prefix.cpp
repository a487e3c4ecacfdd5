#include "services/router/policies/load_and_prefix.hpp"

#include <algorithm>
#include <tuple>

#include "services/router/policies/able.hpp"

namespace troupe::router {
namespace {

// A sequence ahead delays the first token about as much as this many prompt tokens: one decode row in every
// step until a prompt of ordinary length is through.
constexpr std::uint64_t kTokensPerSequence = 64;
// Waiting for pages means waiting for another answer's end.
constexpr std::uint64_t kNoPagesPenalty = 4096;

std::uint64_t cost(const RequestView& request, const Candidate& worker) {
  const std::uint64_t uncached =
      request.prompt_tokens - std::min(request.prompt_tokens, worker.cached_tokens);
  const bool waits = worker.pages_available < pages_for(uncached + 1);
  const std::uint64_t reading = (worker.on_disk_tokens + kReadsPerComputed - 1) / kReadsPerComputed;
  return uncached + reading + worker.load * kTokensPerSequence + (waits ? kNoPagesPenalty : 0);
}

}  // namespace

Expected<Decision> LoadAndPrefix::choose(const RequestView& request,
                                         std::span<const Candidate> candidates) const {
  const auto able = able_to_take(request, candidates);
  if (!able) return tl::unexpected<Error>(able.error());
  const auto rank = [&](std::size_t index) {
    const Candidate& c = candidates[index];
    return std::make_tuple(cost(request, c), ~c.cached_tokens, c.name, c.node);
  };
  const std::size_t best = *std::ranges::min_element(*able, {}, rank);
  const bool by_prefix = candidates[best].cached_tokens != 0;
  return Decision{best, by_prefix ? "prefix" : "load"};
}

}  // namespace troupe::router
