#include "services/router/policies/predicted_ttft.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "services/router/policies/able.hpp"
#include "services/router/policies/draw.hpp"

namespace troupe::router {
namespace {

// Computing that a placement adds is waited for by those behind it: so much of it counts against it.
constexpr double kOthersShare = 1.0;
// Where prefill workers are, computing on a decode worker counts for so much more, once for every stream
// there that waits for it and once for those that come meanwhile.
constexpr double kStreamsShare = 0.75;
// Steps in which an answer of unknown length slows each of its neighbours by one row's time.
constexpr double kSharedSteps = 64;
// A holder of the prefix counts as this much busier than it is.
constexpr double kReplicateEarly = 1.05;
// About equal: within what predictions are worth.
constexpr double kEqualShare = 0.02, kEqualUs = 500;
// A fetch that fails costs its time and the computing: it must be predicted to be so much better.
constexpr double kFetchBetter = 0.9;
// Layers that a transfer is sent in: the last one is not hidden.
constexpr double kTransferParts = 32;
// A prediction must miss the deadline by so much before a request is refused for it.
constexpr double kSureOfMissing = 1.5;
// Predictions err by about so much: what is just in time by prediction is late as often as not.
constexpr double kMargin = 0.85;
// A prompt that takes this share of its time on an idle worker too is not late because of the load.
constexpr double kNearlyIdle = 1.25;

/// Tokens to compute; those to read from disk count as the few that take as long.
double uncached(const RequestView& request, const Candidate& worker) {
  // The last token is always computed: its output is the first answer.
  const std::uint32_t cached =
      std::min(worker.cached_tokens, request.prompt_tokens - std::min(1u, request.prompt_tokens));
  return request.prompt_tokens - cached + static_cast<double>(worker.on_disk_tokens) / kReadsPerComputed;
}

/// Waiting for pages or a place is waiting for another answer's end.
double page_wait(double tokens, const RequestView& request, const Candidate& worker) {
  if (worker.pages_total == 0) return 0;
  const auto pages = pages_for(static_cast<std::uint64_t>(tokens) + request.choices);
  return worker.pages_available < pages ? static_cast<double>(worker.retry_ms) * 1000 : 0;
}

Terms local_terms(const RequestView& request, const Candidate& worker) {
  const double own = uncached(request, worker);
  const TtftFeatures what{worker.queued_tokens, own, worker.decode_rows};
  Terms terms;
  terms.able = true;
  terms.queue = worker.costs.base + worker.costs.queued * worker.queued_tokens;
  if (worker.cached_tokens != 0) terms.queue *= kReplicateEarly;
  terms.prefill = worker.costs.token * own;
  terms.decode = worker.costs.row * worker.decode_rows * what.steps() + page_wait(own, request, worker);
  terms.others =
      kOthersShare * terms.prefill + kSharedSteps * worker.costs.row * worker.decode_rows * request.choices;
  terms.score = terms.first_token() + terms.others;
  return terms;
}

/// Prefill at `helper` while the decode worker's reserved pages fill.
Terms remote_terms(const RequestView& request, const Candidate& worker, const Candidate& helper) {
  const double own = uncached(request, helper), missing = uncached(request, worker);
  Terms terms;
  terms.able = true;
  terms.queue = helper.costs.base + helper.costs.queued * helper.queued_tokens;
  terms.prefill = helper.costs.token * own;
  const double transfer = missing * worker.transfer_us;
  terms.transfer = std::max(transfer - terms.prefill, transfer / kTransferParts);
  terms.decode = worker.costs.row * worker.decode_rows + page_wait(missing, request, worker);
  terms.others =
      kOthersShare * terms.prefill + kSharedSteps * worker.costs.row * worker.decode_rows * request.choices;
  terms.score = terms.first_token() + terms.others;
  return terms;
}

/// The source's pages while the prompts ahead are computed; then the rest of the prompt here.
Terms fetch_terms(const RequestView& request, const Candidate& worker, const Source& source,
                  std::uint32_t tokens) {
  Candidate with_pages = worker;
  with_pages.cached_tokens += tokens;
  with_pages.on_disk_tokens = 0;
  Terms terms = local_terms(request, with_pages);
  terms.decode += page_wait(uncached(request, worker), request, worker) -
                  page_wait(uncached(request, with_pages), request, with_pages);  // reserved all the same
  terms.fetch = source.fetch_us(worker.node, tokens);
  const double hidden = worker.costs.queued * worker.queued_tokens;
  terms.transfer = std::max(terms.fetch - hidden, terms.fetch / kTransferParts);
  terms.score = terms.first_token() + terms.others;
  return terms;
}

/// What computing beside a decode worker's streams costs them.
void add_streams(Terms& terms, const Candidate& worker) {
  const double stalls = kStreamsShare * (1 + worker.decode_rows) * terms.prefill;
  terms.others += stalls;
  terms.score += stalls;
}

/// Sets `terms` to fetching from the best source, where that is better than they are.
void consider_sources(const RequestView& request, const Offer& offer, const Candidate& worker, Terms& terms) {
  double least = kFetchBetter * terms.score;
  Terms best = terms;
  for (std::size_t i = 0; i < offer.sources.size(); ++i) {
    const std::uint32_t tokens = tokens_to_fetch(request, offer, worker, offer.sources[i]);
    if (tokens == 0) continue;
    Terms fetched = fetch_terms(request, worker, offer.sources[i], tokens);
    if (!offer.prefill.empty()) add_streams(fetched, worker);  // the rest is computed beside them
    if (fetched.score >= least) continue;
    least = fetched.score;
    fetched.source = i;
    best = fetched;
  }
  terms = best;
}

std::optional<std::size_t> best_helper(const RequestView& request, const Offer& offer) {
  const auto able = able_to_take(request, offer.prefill);
  if (!able) return std::nullopt;
  return *std::ranges::min_element(*able, {}, [&](std::size_t i) {
    const Candidate& helper = offer.prefill[i];
    return helper.costs.queued * helper.queued_tokens + 2 * helper.costs.token * uncached(request, helper);
  });
}

Duration from_us(double us) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(us * 1000));
}

double to_us(Duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

Expected<Decision> PredictedTtft::place(const RequestView& request, const Offer& offer) const {
  const auto able = able_to_take(request, offer.decode);
  if (!able) return tl::unexpected<Error>(able.error());
  const auto helper = best_helper(request, offer);
  Decision decision;
  decision.terms.resize(offer.decode.size());
  for (const std::size_t i : *able) {
    const Candidate& worker = offer.decode[i];
    Terms& terms = decision.terms[i] = local_terms(request, worker);
    if (helper && uncached(request, worker) >= offer.min_prompt_tokens) {
      add_streams(terms, worker);
      Terms remote = remote_terms(request, worker, offer.prefill[*helper]);
      if (remote.score < terms.score) {
        terms = remote;
        terms.prefill_worker = helper;
      }
    }
    consider_sources(request, offer, worker, terms);
  }
  TROUPE_TRY(forbid_late(request, offer, decision.terms));
  const std::size_t best = *std::ranges::min_element(
      *able, {}, [&](std::size_t i) { return std::pair(!decision.terms[i].able, decision.terms[i].score); });
  decision.index = among_equals(request, offer, decision.terms, best);
  decision.prefill = decision.terms[decision.index].prefill_worker;
  decision.source = decision.terms[decision.index].source;
  decision.reason = offer.decode[decision.index].cached_tokens != 0 ? "prefix" : "load";
  return decision;
}

std::size_t PredictedTtft::among_equals(const RequestView& request, const Offer& offer,
                                        const std::vector<Terms>& terms, std::size_t best) const {
  const double limit = terms[best].score * (1 + kEqualShare) + kEqualUs;
  std::vector<std::size_t> equal;
  for (std::size_t i = 0; i < terms.size(); ++i)
    if (terms[i].able && terms[i].score <= limit) equal.push_back(i);
  if (request.session != 0)
    return *std::ranges::max_element(
        equal, {}, [&](std::size_t i) { return rendezvous(request.session, offer.decode[i].node); });
  const std::uint64_t draw = mixed(request.ticket);
  const std::size_t one = equal[(draw & 0xffffffff) % equal.size()], two = equal[(draw >> 32) % equal.size()];
  return terms[two].score < terms[one].score ? two : one;
}

Expected<void> PredictedTtft::forbid_late(const RequestView& request, const Offer& offer,
                                          std::vector<Terms>& terms) const {
  if (!options_.first_token_slo && !request.deadline) return {};
  std::vector<double> first(terms.size(), std::numeric_limits<double>::infinity());
  double idle = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (!terms[i].able) continue;
    const Candidate& worker = offer.decode[i];
    // A queue that the coefficients think cheaper than it was seen to be would let too many in at once.
    const Candidate& queue = terms[i].prefill_worker ? offer.prefill[*terms[i].prefill_worker] : worker;
    first[i] = terms[i].first_token() + std::max(0.0, queue.drain_us * queue.queued_tokens - terms[i].queue);
    idle = std::min(idle, worker.costs.base + worker.costs.token * uncached(request, worker));
  }
  const double limit = latest(request, idle), soonest = *std::ranges::min_element(first);
  if (soonest > limit)
    return refused_for(from_us(soonest - limit),
                       "the first token would come after " +
                           std::to_string(static_cast<std::int64_t>(soonest / 1000)) +
                           " ms, later than was asked for");
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i].able = terms[i].able && first[i] <= limit;
  return {};
}

double PredictedTtft::latest(const RequestView& request, double idle_us) const {
  double limit = std::numeric_limits<double>::infinity();
  if (options_.first_token_slo && request.priority <= 0)
    limit = std::max(kMargin * to_us(*options_.first_token_slo) * (request.priority < 0 ? 0.5 : 1),
                     kNearlyIdle * idle_us);
  if (request.deadline)
    limit = std::min(limit, std::max(kSureOfMissing * to_us(*request.deadline), kNearlyIdle * idle_us));
  return limit;
}

}  // namespace troupe::router
