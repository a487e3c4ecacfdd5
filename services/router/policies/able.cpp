#include "services/router/policies/able.hpp"

#include <algorithm>
#include <string>

namespace troupe::router {

Expected<std::vector<std::size_t>> able_to_take(const RequestView& request,
                                                std::span<const Candidate> candidates) {
  if (candidates.empty()) return fail(Errc::no_ready_worker, "no worker is ready");
  const std::uint64_t pages = pages_for(std::uint64_t{request.prompt_tokens} + 1);
  bool fits_somewhere = false, any_pages_known = false;
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& worker = candidates[i];
    any_pages_known |= worker.pages_total != 0;
    if (worker.pages_total != 0 && worker.pages_total < pages) continue;
    fits_somewhere = true;
    if (worker.capacity != 0 && worker.load + request.choices > worker.capacity) continue;
    able.push_back(i);
  }
  if (!fits_somewhere && any_pages_known) {
    return fail(Errc::out_of_pages, "a prompt of " + std::to_string(request.prompt_tokens) +
                                        " tokens needs " + std::to_string(pages) +
                                        " KV pages, more than any worker has");
  }
  if (able.empty()) {
    std::uint64_t soonest = candidates.front().retry_ms;
    for (const Candidate& worker : candidates) soonest = std::min(soonest, worker.retry_ms);
    return refused_for(std::chrono::milliseconds(soonest),
                       "all of " + std::to_string(candidates.size()) + " ready workers are full");
  }
  return able;
}

tl::unexpected<Error> refused_for(Duration wait, std::string detail) {
  constexpr Duration kShortest = std::chrono::milliseconds(50), kLongest = std::chrono::minutes(10);
  wait = std::clamp(wait, kShortest, kLongest);
  return tl::unexpected<Error>(
      Error{Errc::queue_full, std::move(detail),
            static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(wait).count())});
}

Expected<Decision> RankingPolicy::place(const RequestView& request, const Offer& offer) const {
  auto decision = choose(request, offer.decode);
  if (!decision) return decision;
  const std::uint32_t cached = offer.decode[decision->index].cached_tokens;
  if (request.prompt_tokens - std::min(cached, request.prompt_tokens) < offer.min_prompt_tokens)
    return decision;
  const auto prefill = choose(request, offer.prefill);
  if (prefill) decision->prefill = prefill->index;  // else none is ready or all are full
  return decision;
}

}  // namespace troupe::router
