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

std::uint32_t tokens_to_fetch(const RequestView& request, const Offer& offer, const Candidate& worker,
                              const Source& source) {
  if (source.node == worker.node) return 0;
  const std::uint32_t held = std::min(source.held_tokens, request.prompt_tokens);
  const std::uint32_t more = held - std::min(held, worker.cached_tokens);
  return more < std::max(1u, offer.min_fetch_tokens) ? 0 : more;
}

double Source::waits_us(double tokens) const {
  constexpr double kWindowBytes = 8 << 20;  // frames in flight: what leaves between two steps
  return step_us * std::max(1.0, token_bytes * tokens / kWindowBytes);
}

double Source::fetch_us(const NodeId& target, double tokens) const {
  return costs.to(target).us(bytes(tokens)) + waits_us(tokens);
}

namespace {

/// Where a policy predicts nothing: whoever holds most of it, and more than half of what the chosen worker
/// lacks.
std::optional<std::size_t> fullest_source(const RequestView& request, const Offer& offer,
                                          const Candidate& worker) {
  const std::uint32_t cached = std::min(worker.cached_tokens, request.prompt_tokens);
  std::uint32_t least = std::max(1u, (request.prompt_tokens - cached) / 2);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < offer.sources.size(); ++i) {
    const std::uint32_t tokens = tokens_to_fetch(request, offer, worker, offer.sources[i]);
    if (tokens < least) continue;
    least = tokens + 1;
    best = i;
  }
  return best;
}

}  // namespace

Expected<Decision> RankingPolicy::place(const RequestView& request, const Offer& offer) const {
  auto decision = choose(request, offer.decode);
  if (!decision) return decision;
  decision->source = fullest_source(request, offer, offer.decode[decision->index]);
  if (decision->source) return decision;
  const std::uint32_t cached = offer.decode[decision->index].cached_tokens;
  if (request.prompt_tokens - std::min(cached, request.prompt_tokens) < offer.min_prompt_tokens)
    return decision;
  const auto prefill = choose(request, offer.prefill);
  if (prefill) decision->prefill = prefill->index;  // else none is ready or all are full
  return decision;
}

}  // namespace troupe::router
