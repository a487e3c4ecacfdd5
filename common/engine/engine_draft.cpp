// Drafts: which guesses ride along in a step, their rows, and what remains of them afterwards
// (common/speculation says what to guess and what a draft is worth).
#include <algorithm>

#include "common/engine/engine_impl.hpp"
#include "common/sampling/candidates.hpp"

namespace troupe::engine {

speculation::DraftContext EngineImpl::draft_context(const Sequence& sequence) const {
  const Request& request = *sequence.request;
  return {sequence.number, request.tenant, sequence.tokens,
          static_cast<std::uint32_t>(request.prompt.size() - request.resumed_tokens), sequence.expected, request.reference};
}

/// Rows that guesses may take behind the sequence's own next row. Pages are never taken from others for them,
/// and one is left to each running sequence; `spare_pages` is what is left beyond.
std::uint32_t EngineImpl::draft_room(const Sequence& sequence, std::uint32_t& spare_pages) const {
  const auto length = static_cast<std::uint32_t>(sequence.tokens.size());
  const std::uint32_t to_come =
      sequence.request->max_tokens - std::min(sequence.request->max_tokens, sequence.emitted);
  std::uint32_t rows = std::min({options_.speculation.most_draft, to_come - std::min(to_come, 1u),
                                 context_ - std::min(context_, length)});
  if (rows == 0) return 0;
  const std::uint32_t needed = sequence.pages->pages_needed(length + rows);
  if (needed <= spare_pages) {
    spare_pages -= needed;
    return rows;
  }
  return std::min(rows, static_cast<std::uint32_t>(sequence.pages->pages().size()) * kPageTokens - length);
}

/// Drafts for those that decode in this step; `rows` is what the step computes without. true: there are some,
/// in demands.
bool EngineImpl::draft(const std::vector<Sequence*>& candidates, std::vector<RowDemand>& demands,
                       std::span<const std::uint32_t> rows) {
  std::vector<speculation::Stream> streams;
  std::vector<std::size_t> of;
  std::uint64_t context = 0;
  std::uint32_t spare =
      pool_.available() - std::min(pool_.available(), static_cast<std::uint32_t>(running_.size()));
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Sequence& sequence = *candidates[i];
    sequence.draft.reset();
    sequence.expected.clear();
    if (rows[i] == 0 || !demands[i].decoding || sequence.beams || sequence.superposed) continue;
    if (sequence.matcher) sequence.expected = sequence.matcher->expected(options_.speculation.most_draft);
    if (!speculator_.drafts_for(sequence.request->drafter, sequence.expected)) continue;
    if (sequence.seat == nullptr) sequence.seat = std::make_unique<DraftSeat>(speculator_, sequence.number);
    streams.push_back({draft_context(sequence), sequence.request->drafter, draft_room(sequence, spare)});
    of.push_back(i);
    context += sequence.tokens.size();
  }
  if (streams.empty()) return false;
  const StepLoad base = load_of(demands, rows);
  const std::uint64_t each = context / streams.size();
  speculation::StepSeconds seconds;
  if (scheduler_.model().ready()) {
    const bool alone =
        std::all_of(demands.begin(), demands.end(), [](const RowDemand& demand) { return demand.decoding; });
    seconds = [this, base, each, alone](std::uint32_t extra) {
      const StepLoad load{base.rows + extra, base.context + extra * each};
      return alone ? scheduler_.stream_seconds(load) : scheduler_.model().predict(load);
    };
  }
  const std::uint64_t capacity = std::max(options_.token_budget, options_.max_sequences);
  std::uint64_t decoding = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) decoding += demands[i].decoding ? rows[i] : 0;
  auto drafts = speculator_.plan(streams, seconds, static_cast<std::uint32_t>(capacity - decoding));
  bool any = false;
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    if (drafts[i].empty()) continue;
    any = true;
    demands[of[i]].drafted = drafts[i].size();
    candidates[of[i]]->draft.emplace(
        Drafted{speculation::Verification(std::move(drafts[i])), demands[of[i]].before});
  }
  return any;
}

/// The root's row and one for each guess. Guesses stand behind the root in the pages, at positions by their
/// depth.
void EngineImpl::add_draft_rows(Sequence& sequence, std::uint32_t begin) {
  const speculation::Verification& verification = sequence.draft->verification;
  std::vector<TokenId> tokens = {sequence.tokens.back()};
  for (const speculation::DraftNode& node : verification.draft().nodes) tokens.push_back(node.token);
  copy(sequence.pages->append(tokens));
  const std::uint32_t index = batch_.add_sequence(sequence.pages->pages());
  const std::uint32_t keep = logits_kept(sequence);
  for (std::uint32_t row = 0; row < verification.rows(); ++row) {
    logit_owner_.emplace_back(&sequence, begin + row);
    std::vector<std::uint32_t> seen = verification.seen_by(row);
    const auto depth = static_cast<std::uint32_t>(seen.size()) - 1;
    for (std::uint32_t& at : seen) at += begin;
    batch_.add_draft_row(index, tokens[row], sequence.pages->position_of(begin) + depth,
                         sequence.pages->slot_of(begin + row), begin, seen, keep);
  }
}

/// The ranked rows, those of the verified context last: they win over those of wrong guesses.
std::vector<speculation::RankedRow> EngineImpl::path_last(const Sequence& sequence) {
  std::vector<bool> verified(sequence.ranked.size(), false);
  if (!verified.empty()) verified[0] = true;
  if (sequence.draft && !verified.empty())
    for (const std::uint32_t node : sequence.draft->verification.path()) verified[node + 1] = true;
  std::vector<speculation::RankedRow> rows;
  for (const bool last : {false, true})
    for (std::size_t row = 0; row < verified.size(); ++row)
      if (verified[row] == last) rows.push_back(sequence.ranked[row]);
  return rows;
}

/// Keeps what a row ranks highest, where a drafter learns from it.
void EngineImpl::rank(Sequence& sequence, std::uint32_t row, const RowLogits& logits) {
  const std::uint32_t wanted = sequence.seat ? speculator_.rows_wanted(sequence.number) : 0;
  if (wanted == 0) return;
  speculation::RankedRow ranked;
  ranked.token =
      row == 0 ? sequence.tokens.back() : sequence.draft->verification.draft().nodes[row - 1].token;
  if (logits.all.empty()) {
    ranked.count = static_cast<std::uint32_t>(std::min<std::size_t>(wanted, logits.best.size()));
    for (std::uint32_t i = 0; i < ranked.count; ++i) ranked.best[i] = logits.best[i].id;
  } else {
    for (const Candidate& candidate : best_candidates(logits.all, wanted))
      ranked.best[ranked.count++] = candidate.id;
  }
  sequence.ranked.push_back(ranked);
}

/// After the pass: what was accepted follows the root in the pages, as if it had been decoded; all else is
/// given back.
void EngineImpl::settle(const Planned& item, StepOutput& out) {
  Sequence& sequence = *item.sequence;
  if (!sequence.pages) return;
  SequencePages& pages = *sequence.pages;
  if (!sequence.draft) {
    pages.computed(item.begin + item.rows);
  } else {
    const speculation::Verification& verification = sequence.draft->verification;
    const std::uint32_t length = item.begin + 1 + static_cast<std::uint32_t>(verification.path().size());
    for (const auto& [from, to] : verification.moves())
      runner_->move_slot(pages.slot_of(item.begin + from), pages.slot_of(item.begin + to));
    pages.rewind(item.begin + 1);
    copy(pages.append(verification.path_tokens()));
    pages.computed(length);
    pages.truncate(length);
    TokenEvent& event = out.tokens[sequence.event];
    event.drafted_tokens = verification.draft().size();
    event.accepted_tokens = static_cast<std::uint32_t>(verification.path().size());
  }
  if (sequence.seat != nullptr && item.decode) {
    const std::vector<speculation::RankedRow> rows = path_last(sequence);
    const auto emitted = static_cast<std::uint32_t>(sequence.tokens.size()) - (item.begin + 1);
    const bool ends = std::find(finished_.begin(), finished_.end(), &sequence) != finished_.end();
    speculator_.observe(draft_context(sequence), {emitted, rows, ends},
                        sequence.draft ? &sequence.draft->verification : nullptr);
  }
  sequence.ranked.clear();
  sequence.draft.reset();
}

}  // namespace troupe::engine
