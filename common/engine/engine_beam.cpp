// Beam search (common/sampling/beam_search decides): beams are sequences of the batch, each with a row in a
// step. When all rows of a search are computed its beams move on: copies of a beam share its pages until they
// write, dropped ones give theirs back. A search that gives way keeps its prompt only and starts anew, to the
// same end: it depends on nothing but the prompt.
#include <algorithm>

#include "common/engine/engine_impl.hpp"

namespace troupe::engine {

/// Errors: invalid_argument, also where the pool could never hold the beams.
Expected<void> EngineImpl::check_beams(const Request& request) const {
  const BeamParams& beam = request.beam;
  const SamplingParams& sampling = request.sampling;
  const auto refuse = [](std::string what) {
    return fail(Errc::invalid_argument, "beam search: " + std::move(what));
  };
  TROUPE_TRY(validate(beam));
  if (sampling.temperature > 0.0f || needs_history(sampling) || !sampling.logit_bias.empty())
    return refuse("goes with temperature 0, without penalties and logit_bias");
  if (request.grammar != nullptr || request.rules.any())
    return refuse("goes without a grammar and rules about tokens");
  if (request.resumed_tokens > 0 || request.max_tokens == 0)
    return refuse("starts at the prompt and makes at least one token");
  if (std::uint64_t{request.first_choice} + request.choices > beam.width)
    return refuse("choice " + std::to_string(request.first_choice + request.choices) + " of " +
                  std::to_string(beam.width) + " beams");
  if (beam.width > options_.max_sequences || new_search(request).candidates_wanted() > model_->config().vocab)
    return refuse("a width of " + std::to_string(beam.width) + " is more than this engine runs");
  // Each beam may have pages of its own behind the prompt's whole ones, and one to copy what it shares with
  // another.
  const std::uint64_t shared = request.prompt.size() / kPageTokens;
  const std::uint64_t tokens = std::min<std::uint64_t>(context_, request.prompt.size() + request.max_tokens);
  const std::uint64_t own = (tokens + kPageTokens - 1) / kPageTokens - shared + 1;
  if (shared + beam.width * own > pool_.total())
    return refuse(std::to_string(beam.width) + " beams of " + std::to_string(tokens) + " tokens may need " +
                  std::to_string(shared + beam.width * own) + " pages, there are " +
                  std::to_string(pool_.total()) + "; a smaller max_tokens helps");
  return {};
}

BeamSearch EngineImpl::new_search(const Request& request) const {
  return BeamSearch(
      request.beam, request.stop_tokens,
      std::min(request.max_tokens, context_ - static_cast<std::uint32_t>(request.prompt.size())));
}

void EngineImpl::take_candidates(Sequence& sequence, const RowLogits& logits) {
  BeamGroup& group = *sequence.beams;
  if (!sequence.prompt_report.empty()) group.prompt_report = std::move(sequence.prompt_report);
  group.candidates[sequence.row] =
      beam_candidates(logits.all, group.search.candidates_wanted(), sequence.request->sampling);
  group.computed[sequence.row] = true;
}

/// After a whole pass: searches whose last missing row was in it go on.
void EngineImpl::advance_beams(const std::vector<Planned>& planned, StepOutput& out) {
  std::vector<BeamGroup*> ready;
  for (const Planned& item : planned) {
    BeamGroup* group = item.sequence->beams.get();
    if (group != nullptr && group->ready() && std::find(ready.begin(), ready.end(), group) == ready.end())
      ready.push_back(group);
  }
  for (BeamGroup* group : ready) advance(*group, out);
}

void EngineImpl::advance(BeamGroup& group, StepOutput& out) {
  std::vector<Sequence*> rows(group.search.rows());
  for (const SequencePtr& sequence : running_)
    if (sequence->beams.get() == &group) rows[sequence->row] = sequence.get();
  if (rows[0]->times.first_token == TimePoint{}) rows[0]->times.first_token = clock_.now();
  const std::vector<BeamSearch::Move> moves = group.search.advance(group.candidates);
  places_.charge_answer(rows[0]->request->tenant,
                        static_cast<std::uint32_t>(std::max<std::size_t>(moves.size(), 1)));
  std::vector<std::uint32_t> copies(rows.size(), 0);
  for (const BeamSearch::Move& move : moves) copies[move.from] += 1;
  if (group.search.done()) {
    const Request& request = *rows[0]->request;
    rows[0]->prompt_report = std::move(group.prompt_report);
    stats_.beam_searches += 1;
    report_hypotheses(group.search.best(request.first_choice + request.choices), *rows[0], out);
  }
  for (std::size_t row = 0; row < rows.size(); ++row)
    if (copies[row] == 0) finished_.push_back(rows[row]);
  for (std::uint32_t row = 0; row < moves.size(); ++row) {
    // The last of a beam's copies is that beam itself.
    Sequence& before = *rows[moves[row].from];
    Sequence& beam = --copies[moves[row].from] > 0 ? fork(before) : before;
    beam.row = row;
    beam.tokens.push_back(moves[row].token);
    beam.emitted += 1;
  }
  group.candidates.assign(moves.size(), {});
  group.computed.assign(moves.size(), false);
}

/// The answers of a search that is over, best first, as choices of its request.
void EngineImpl::report_hypotheses(std::vector<BeamSearch::Hypothesis> best, Sequence& lead,
                                   StepOutput& out) {
  const Request& request = *lead.request;
  lead.times.last_token = clock_.now();
  for (std::uint32_t rank = request.first_choice; rank < request.first_choice + request.choices; ++rank) {
    TokenEvent event = event_for(lead);
    event.choice = rank;
    event.first_index = 0;
    event.times = lead.times;
    if (rank < best.size()) {
      stats_.generated_tokens += best[rank].tokens.size();
      event.tokens = std::move(best[rank].tokens);
      event.score = best[rank].score;
      event.finish = best[rank].stopped ? FinishReason::stop : FinishReason::length;
    } else {
      event.error =
          Error{Errc::internal, "the search found " + std::to_string(best.size()) + " hypotheses only"};
      event.finish = FinishReason::error;
    }
    lead.news_due = true;
    if (lead.news) tell_news(lead, event);
    out.tokens.push_back(std::move(event));
  }
}

/// Leaves a search that gives way with one sequence and its prompt, one token of which is computed again.
/// Returns the running one behind it that is none of its beams.
std::list<EngineImpl::SequencePtr>::iterator EngineImpl::fold_beams(std::list<SequencePtr>::iterator at) {
  Sequence& lead = **at;
  auto next = std::next(at);
  if (!lead.beams || lead.beams->search.steps() == 0) return next;
  while (next != running_.end() && (*next)->beams == lead.beams) ++next;
  running_.remove_if(
      [&](const SequencePtr& other) { return other.get() != &lead && other->beams == lead.beams; });
  stats_.beam_restarts += 1;
  lead.tokens = lead.request->prompt;
  lead.emitted = 0;
  lead.row = 0;
  lead.pages->truncate(static_cast<std::uint32_t>(lead.tokens.size()) - 1);
  *lead.beams = BeamGroup(new_search(*lead.request));
  return next;
}

}  // namespace troupe::engine
