#include "services/router/policies/load_and_prefix.hpp"

#include <algorithm>
#include <string>
#include <tuple>

namespace troupe::router {
namespace {

constexpr std::uint64_t kPageTokens = 64;
// A sequence ahead delays the first token about as much as this many prompt tokens: one decode row in every
// step until a prompt of ordinary length is through.
constexpr std::uint64_t kTokensPerSequence = 64;
// Waiting for pages means waiting for another answer's end.
constexpr std::uint64_t kNoPagesPenalty = 4096;

std::uint64_t pages_for(std::uint64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}

std::uint64_t cost(const RequestView& request, const Candidate& worker) {
  const std::uint64_t uncached =
      request.prompt_tokens - std::min(request.prompt_tokens, worker.cached_tokens);
  const bool waits = worker.pages_available < pages_for(uncached + 1);
  return uncached + worker.load * kTokensPerSequence + (waits ? kNoPagesPenalty : 0);
}

}  // namespace

Expected<Decision> LoadAndPrefix::choose(const RequestView& request,
                                         std::span<const Candidate> candidates) const {
  if (candidates.empty()) return fail(Errc::no_ready_worker, "no worker is ready");
  bool fits_somewhere = false, any_pages_known = false;
  const Candidate* best = nullptr;
  const auto rank = [&](const Candidate& c) {
    return std::make_tuple(cost(request, c), ~c.cached_tokens, c.name, c.node);
  };
  for (const Candidate& worker : candidates) {
    any_pages_known |= worker.pages_total != 0;
    if (worker.pages_total != 0 && worker.pages_total < pages_for(std::uint64_t{request.prompt_tokens} + 1))
      continue;
    fits_somewhere = true;
    if (worker.capacity != 0 && worker.load + request.choices > worker.capacity) continue;
    if (best == nullptr || rank(worker) < rank(*best)) best = &worker;
  }
  if (!fits_somewhere && any_pages_known) {
    return fail(Errc::out_of_pages, "a prompt of " + std::to_string(request.prompt_tokens) +
                                        " tokens needs " +
                                        std::to_string(pages_for(std::uint64_t{request.prompt_tokens} + 1)) +
                                        " KV pages, more than any worker has");
  }
  if (best == nullptr) {
    return fail(Errc::queue_full, "all of " + std::to_string(candidates.size()) + " ready workers are full");
  }
  const bool by_prefix = best->cached_tokens != 0;
  return Decision{static_cast<std::size_t>(best - candidates.data()), by_prefix ? "prefix" : "load"};
}

}  // namespace troupe::router
