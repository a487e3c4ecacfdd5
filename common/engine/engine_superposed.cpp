// Superposed Decoding (common/sampling/superposed decides): several short answers from one sequence, whose
// rows behind the prompt are blends of the drafts' newest tokens. One row and one slot a step, as for one
// answer. A request that gives way keeps its prompt only and starts anew, to the same end.
#include <algorithm>
#include <array>
#include <cmath>

#include "common/engine/engine_impl.hpp"
#include "common/sampling/candidates.hpp"

namespace troupe::engine {
namespace {

constexpr std::size_t kPromptTokens = 4096;  // its last ones, whose n-grams are counted
constexpr std::size_t kPromptRuns = kPromptTokens * 2 * NgramTable::kLongestContext;

static_assert(kMostSuperposedCandidates <= backend::Backend::kMostBest);

SuperposedSearch::Ngrams ngrams_of(const Request& request, std::shared_ptr<const NgramTable> shared) {
  const std::span<const TokenId> prompt(request.prompt);
  auto own = std::make_shared<NgramTable>(kPromptRuns);
  own->add(prompt.last(std::min(prompt.size(), kPromptTokens)));
  return [own = std::shared_ptr<const NgramTable>(std::move(own)), shared = std::move(shared)](
             std::span<const TokenId> before, TokenId next) {
    const std::array<const NgramTable*, 2> tables = {own.get(), shared.get()};
    return ngram_score(std::span(tables).first(shared == nullptr ? 1 : 2), before, next);
  };
}

}  // namespace

/// Errors: invalid_argument.
Expected<void> EngineImpl::check_superposed(const Request& request) const {
  const SuperposedParams& params = request.superposed;
  const SamplingParams& sampling = request.sampling;
  const auto refuse = [](std::string what) {
    return fail(Errc::invalid_argument, "superposed decoding: " + std::move(what));
  };
  TROUPE_TRY(validate(params));
  if (request.beam.width > 0) return refuse("goes without a beam search");
  if (sampling.temperature > 0.0f || needs_history(sampling) || !sampling.logit_bias.empty())
    return refuse("goes with temperature 0, without penalties and logit_bias");
  if (sampling.report_logprobs)
    return refuse("has no log-probabilities: its rows are blends, which speak of no draft's own text");
  if (request.grammar != nullptr || request.rules.any())
    return refuse("goes without a grammar and rules about tokens");
  if (request.resumed_tokens > 0 || request.max_tokens == 0)
    return refuse("starts at the prompt and makes at least one token");
  if (request.max_tokens > kMostSuperposedTokens)
    return refuse("max_tokens is " + std::to_string(request.max_tokens) + ", may be at most " +
                  std::to_string(kMostSuperposedTokens) + ": the longer, the more drafts blend");
  if (std::uint64_t{request.first_choice} + request.choices > params.drafts)
    return refuse("choice " + std::to_string(request.first_choice + request.choices) + " of " +
                  std::to_string(params.drafts) + " drafts");
  if (params.candidates > model_->config().vocab)
    return refuse(std::to_string(params.candidates) + " candidates are more than the vocabulary has");
  return {};
}

std::unique_ptr<SuperposedSearch> EngineImpl::new_superposed(const Request& request) const {
  const std::uint32_t room = context_ - static_cast<std::uint32_t>(request.prompt.size());
  SuperposedSearch::Ngrams ngrams;
  if (request.superposed.alpha > 0.0f) ngrams = ngrams_of(request, options_.ngrams);
  return std::make_unique<SuperposedSearch>(request.superposed, request.prompt, request.stop_tokens,
                                            std::min(request.max_tokens, room), std::move(ngrams));
}

/// Makes the row that was added last, of token `index`, a blend if it stands behind the prompt.
void EngineImpl::blend(Sequence& sequence, std::uint32_t index) {
  if (index < sequence.request->prompt.size()) return;
  sequence.pages->set_unnamed(index);
  for (const SuperposedSearch::Weighted& part : sequence.superposed->mix())
    batch_.blend(part.token, part.weight);
}

void EngineImpl::take_superposed(Sequence& sequence, const RowLogits& logits, StepOutput& out) {
  SuperposedSearch& search = *sequence.superposed;
  std::vector<TokenLogit> best;
  for (const backend::Scored& one : logits.best)
    if (std::isfinite(one.value)) best.push_back({one.id, one.value});
  if (!logits.all.empty())
    for (const Candidate& one : best_candidates(logits.all, search.candidates_wanted()))
      if (std::isfinite(one.logit)) best.push_back({one.id, one.logit});
  if (best.empty()) best.push_back({});  // no logit is a number: token 0, as draws have it
  if (search.steps() > 0) stats_.blended_rows += 1;
  search.advance(best);
  places_.charge_answer(sequence.request->tenant, 1);
  if (sequence.times.first_token == TimePoint{}) sequence.times.first_token = clock_.now();
  if (!search.done()) {
    sequence.tokens.push_back(
        search.mix().front().token);  // stands for all of them: rows are counted by tokens
    sequence.emitted += 1;
    return;
  }
  stats_.superposed_requests += 1;
  std::vector<BeamSearch::Hypothesis> found;
  for (const auto& one : search.best(sequence.request->first_choice + sequence.request->choices)) {
    found.push_back({{}, one.score, one.stopped});
    for (const TokenId token : one.tokens) found.back().tokens.push_back({token, 0.0f, {}});
  }
  report_hypotheses(std::move(found), sequence, out);
  finished_.push_back(&sequence);
}

/// Leaves a sequence that gives way with its prompt, one token of which is computed again.
void EngineImpl::fold_superposed(Sequence& sequence) {
  if (!sequence.superposed || sequence.superposed->steps() == 0) return;
  stats_.superposed_restarts += 1;
  sequence.tokens = sequence.request->prompt;
  sequence.emitted = 0;
  sequence.pages->truncate(static_cast<std::uint32_t>(sequence.tokens.size()) - 1);
  sequence.superposed = new_superposed(*sequence.request);
}

}  // namespace troupe::engine
