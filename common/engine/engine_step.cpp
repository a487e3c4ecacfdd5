// One step: expire, admit and plan (engine_schedule.cpp), compute, sample.
#include <algorithm>
#include <array>
#include <utility>

#include "common/engine/engine_impl.hpp"

namespace troupe::engine {

StepOutput EngineImpl::step(const std::function<bool()>& interrupted) {
  StepOutput out;
  expire(out);
  advance_fetches(out);
  flush_feeds(out);
  admit();
  const std::vector<Planned> planned = plan(out);
  if (!planned.empty()) {
    fill_batch(planned);
    drew_last_ = nullptr;
    const TimePoint started = clock_.now();
    const bool whole = runner_->forward(
        batch_,
        [&](std::uint32_t layer) {
          after_layer(planned, layer);
          return !interrupted || !interrupted();
        },
        [&](std::size_t i, std::span<const float> logits) { take_logits(*logit_owner_[i].first, logit_owner_[i].second, {logits, {}}, out); },
        [&](std::size_t i, std::span<const backend::Scored> best) {
          take_logits(*logit_owner_[i].first, logit_owner_[i].second, {{}, best}, out);
        },
        [&](std::size_t i, std::span<const float> state) { state_owner_[i].first->pool->take(state_owner_[i].second, state); });
    for (const Planned& item : planned) {
      if (!whole) {
        // Computed again in a later step, to the same bits and in the same pages: layers that were done may have been
        // offered to a receiver, which reads them later.
        item.sequence->pages->rewind(item.begin);
        item.sequence->draft.reset();
        continue;
      }
      settle(item, out);
      if (item.sequence->news) note_prefill(*item.sequence);
      if (item.sequence->pool && item.sequence->remaining() == 0) end_pooled(*item.sequence, out);
    }
    if (whole) {
      advance_beams(planned, out);
      out.rows = batch_.rows();
      stats_.steps += 1;
      stats_.step_rows.add(out.rows);
      learn(planned, clock_.now() - started);
    }
    drop_finished();
    flush_feeds(out);
  }
  if (write_back_ != nullptr) out.pages_moved += write_back_->advance(planned.empty() ? kPagesPerIdleStep : kPagesPerStep);
  report_blocks(out);
  return out;
}

void EngineImpl::report_blocks(StepOutput& out) {
  for (const BlockEvent& event : pool_.take_events()) out.kv.push_back({event.key, event.stored, event.origin});
  if (disk_ == nullptr) return;
  for (const kv::disk::StoreChange& change : disk_->take_changes())
    out.kv.push_back({change.key, change.stored, change.origin, Tier::disk});
}

void EngineImpl::expire(StepOutput& out) {
  const TimePoint now = clock_.now();
  const auto expired = [&](const SequencePtr& sequence) {
    if (!sequence->request->deadline || *sequence->request->deadline > now) return false;
    // Choices that are not forked yet end too, and those of a search once.
    const std::uint32_t of_search = sequence->row == 0 ? sequence->request->choices : 0;
    const std::uint32_t choices = sequence->beams || sequence->superposed ? of_search : sequence->forks + 1;
    for (std::uint32_t i = 0; i < choices; ++i) {
      TokenEvent event = event_for(*sequence);
      event.choice = sequence->choice + i;
      event.finish = FinishReason::error;
      event.error = Error{Errc::deadline_exceeded, "the request's deadline passed"};
      out.tokens.push_back(std::move(event));
    }
    return true;
  };
  std::erase_if(waiting_, expired);
  std::erase_if(running_, expired);
  for (Fetch& fetch : fetching_) std::erase_if(fetch.waiting, expired);
}

/// Offers waiting pages again and reports prompts that are computed and taken.
void EngineImpl::flush_feeds(StepOutput& out) {
  for (auto it = running_.begin(); it != running_.end();) {
    Sequence& sequence = **it;
    if (!sequence.prefill_only() || !sequence.feed->flush() || sequence.remaining() != 0) {
      ++it;
      continue;
    }
    const RequestId id = sequence.request->id;
    out.prefilled.push_back(id);
    if (sequence.news) {
      sequence.news->times = sequence.times;
      out.prefill_news.emplace_back(id, std::move(sequence.news));
    }
    prefilled_[id] = std::move(*it);
    it = running_.erase(it);
  }
}

void EngineImpl::fill_batch(const std::vector<Planned>& planned) {
  batch_.clear();
  batch_.attention.share_prefixes = options_.hydragen;
  logit_owner_.clear();
  state_owner_.clear();
  for (const Planned& item : planned) {
    if (item.sequence->draft)
      add_draft_rows(*item.sequence, item.begin);
    else
      add_rows(item);
    const auto prompt = static_cast<std::uint32_t>(item.sequence->request->prompt.size());
    if (item.sequence->news && !item.decode) item.sequence->news->prompt_steps += 1;
    if (item.begin < prompt) stats_.prompt_tokens += std::min(item.rows, prompt - item.begin);
  }
}

void EngineImpl::add_rows(const Planned& item) {
  Sequence& sequence = *item.sequence;
  copy(sequence.pages->append(std::span(sequence.tokens).subspan(item.begin, item.rows)));
  const std::uint32_t index = batch_.add_sequence(sequence.pages->pages());
  for (std::uint32_t at = item.begin; at < item.begin + item.rows; ++at) {
    const bool last = at + 1 == sequence.tokens.size();
    if (sequence.pool && sequence.pool->wants(at)) {
      state_owner_.emplace_back(&sequence, at);
      batch_.state_rows.push_back(static_cast<std::int32_t>(batch_.rows()));
    }
    const bool wants = sequence.draws() && !sequence.pool && (last || (sequence.request->prompt_logprobs && at + 1 < sequence.request->prompt.size()));
    if (wants) logit_owner_.emplace_back(&sequence, at);
    // What is drawn from may need few of the logits; what is reported about a prompt needs all.
    batch_.add_row(index, sequence.tokens[at], sequence.pages->position_of(at), sequence.pages->slot_of(at), at, wants,
                   last ? logits_kept(sequence) : 0);
    if (sequence.superposed) blend(sequence, at);
  }
}

/// Best logits that a row leaves behind; 0: all.
std::uint32_t EngineImpl::logits_kept(const Sequence& sequence) const {
  if (sequence.superposed) return sequence.superposed->candidates_wanted();
  if (sequence.matcher || sequence.beams || ruled(sequence)) return 0;
  const std::uint32_t drawn = best_needed(sequence.request->sampling, model_->config().vocab, backend::Backend::kMostBest);
  return drawn == 0 ? 0 : std::max(drawn, sequence.seat ? speculator_.rows_wanted(sequence.number) : 0);
}

void EngineImpl::after_layer(const std::vector<Planned>& planned, std::uint32_t layer) {
  progress_.fetch_add(1, std::memory_order_relaxed);
  for (const Planned& item : planned) {
    Sequence& sequence = *item.sequence;
    if (!sequence.prefill_only()) continue;
    if (sequence.news && sequence.times.first_token == TimePoint{}) sequence.times.first_token = clock_.now();
    sequence.feed->covered(layer, item.begin + item.rows, sequence.pages->pages());
  }
}

/// A traced prompt that is computed for somebody else is whole.
void EngineImpl::note_prefill(Sequence& sequence) const {
  if (sequence.prefill_only() && sequence.remaining() == 0) sequence.times.last_token = clock_.now();
}

void EngineImpl::tell_news(Sequence& sequence, TokenEvent& event) const {
  if (!std::exchange(sequence.news_due, false)) return;
  sequence.news->times = sequence.times;
  event.news = std::make_shared<const StageNews>(*sequence.news);
  sequence.news->absences.clear();
}

TokenEvent EngineImpl::event_for(Sequence& sequence) const {
  TokenEvent event;
  event.id = sequence.request->id;
  event.epoch = sequence.request->epoch;
  event.choice = sequence.choice;
  event.first_index = sequence.emitted;
  event.cached_tokens = sequence.cached_tokens;
  if (!sequence.reported) event.prompt_tokens = std::move(sequence.prompt_report);
  sequence.reported = true;
  return event;
}

void EngineImpl::take_logits(Sequence& sequence, std::uint32_t index, const RowLogits& logits, StepOutput& out) {
  const auto prompt = static_cast<std::uint32_t>(sequence.request->prompt.size());
  if (sequence.request->prompt_logprobs && sequence.emitted == 0 && index + 1 < prompt) {
    if (sequence.prompt_report.empty()) sequence.prompt_report.push_back({sequence.tokens[0], 0.0f, {}});
    if (sequence.prompt_report.size() == index + 1)  // a preempted prompt is computed twice, reported once
      sequence.prompt_report.push_back(report(logits.all, sequence.tokens[index + 1], sequence.request->sampling.logprobs));
    return;
  }
  if (sequence.draft) {
    // A row of a guess counts when the draws before it led there.
    speculation::Verification& verification = sequence.draft->verification;
    const std::uint32_t row = index - sequence.draft->begin;
    rank(sequence, row, logits);
    if (verification.next_row() != row) return;
    draw(sequence, logits, out) ? verification.drew(sequence.tokens.back()) : verification.stop();
    return;
  }
  if (index + 1 != sequence.tokens.size()) return;
  if (sequence.beams) return take_candidates(sequence, logits);
  if (sequence.superposed) return take_superposed(sequence, logits, out);
  rank(sequence, 0, logits);
  // The prompt is computed: the other choices start from the same pages and the same logits.
  for (std::uint32_t i = 0; i < sequence.forks; ++i) {
    sequence.pages->computed(static_cast<std::uint32_t>(sequence.tokens.size()));
    Sequence& added = fork(sequence);
    added.choice = sequence.choice + 1 + i;
    draw(added, logits, out);
  }
  sequence.forks = 0;
  draw(sequence, logits, out);
}

/// Another sequence that is as far, on the same pages; it runs from the end of this step on.
Sequence& EngineImpl::fork(const Sequence& sequence) {
  auto made = std::make_unique<Sequence>();
  made->request = sequence.request;
  made->choice = sequence.choice;
  made->tokens = sequence.tokens;
  made->emitted = sequence.emitted;
  made->standing = sequence.standing;
  made->number.value = sequences_++;
  made->started = true;
  made->times = sequence.times;
  if (sequence.news) made->news = std::make_unique<StageNews>(*sequence.news);
  made->cached_tokens = sequence.cached_tokens;
  made->history = sequence.history;
  made->matcher = sequence.matcher;
  made->beams = sequence.beams;
  made->pages.emplace(sequence.pages->fork());
  forked_.push_back(std::move(made));
  return *forked_.back();
}

GeneratedToken EngineImpl::next_token(const Sequence& sequence, const RowLogits& logits,
                                      std::span<const std::uint64_t> allowed) const {
  const SamplingParams& params = sequence.request->sampling;
  const std::size_t position = sequence.tokens.size();
  if (!logits.all.empty())
    return sample(logits.all, params, sequence.history ? &*sequence.history : nullptr, sequence.choice, position, allowed);
  std::array<TokenLogit, backend::Backend::kMostBest> best;
  // Drafters may have asked for more than decides the draw.
  const auto drawn = logits.best.first(std::min<std::size_t>(
      logits.best.size(), best_needed(params, model_->config().vocab, backend::Backend::kMostBest)));
  std::transform(drawn.begin(), drawn.end(), best.begin(),
                 [](const backend::Scored& one) { return TokenLogit{one.id, one.value}; });
  return sample_best(std::span(best).first(drawn.size()), params, sequence.choice, position);
}

/// The event of this sequence in this step; a step may draw several of its tokens, one after another.
TokenEvent& EngineImpl::open_event(Sequence& sequence, StepOutput& out) {
  if (drew_last_ != &sequence) {
    drew_last_ = &sequence;
    sequence.event = out.tokens.size();
    out.tokens.push_back(event_for(sequence));
  }
  return out.tokens[sequence.event];
}

/// Draws the next token; false: it was the last one.
bool EngineImpl::draw(Sequence& sequence, const RowLogits& logits, StepOutput& out) {
  const Request& request = *sequence.request;
  TokenEvent& event = open_event(sequence, out);
  if (sequence.matcher && sequence.matcher->complete()) {  // a stream that was resumed at its very end
    end(sequence, event, FinishReason::stop);
    return false;
  }
  if (request.max_tokens <= sequence.emitted) {
    end(sequence, event, FinishReason::length);
    return false;
  }
  std::optional<GeneratedToken> token =
      sequence.matcher || ruled(sequence) ? allowed_token(sequence, logits) : next_token(sequence, logits, {});
  if (!token) {
    end_without_choice(sequence, event);
    return false;
  }
  const TokenId id = token->token;
  event.tokens.push_back(std::move(*token));
  if (sequence.times.first_token == TimePoint{}) sequence.times.first_token = clock_.now();
  if (sequence.news && !sequence.prefill_only()) tell_news(sequence, event);
  sequence.emitted += 1;
  sequence.tokens.push_back(id);
  if (sequence.history) sequence.history->add_answer(id);
  stats_.generated_tokens += 1;
  places_.charge_answer(request.tenant, 1);
  if (std::find(request.stop_tokens.begin(), request.stop_tokens.end(), id) != request.stop_tokens.end())
    end(sequence, event, FinishReason::stop);
  else if (sequence.matcher && sequence.matcher->complete())
    end(sequence, event, FinishReason::stop);
  else if (sequence.emitted >= request.max_tokens || sequence.tokens.size() >= context_)
    end(sequence, event, FinishReason::length);
  return event.finish == FinishReason::none;
}

void EngineImpl::end(Sequence& sequence, TokenEvent& event, FinishReason reason) {
  event.finish = reason;
  if (sequence.prefill_only()) return;  // whose answer it is ends it; its pages have yet to leave
  sequence.times.last_token = clock_.now();
  if (sequence.times.first_token == TimePoint{}) sequence.times.first_token = sequence.times.last_token;  // nothing was drawn
  event.times = sequence.times;
  finished_.push_back(&sequence);
}

/// Forked choices join the running ones behind their siblings; finished sequences leave and their pages with them.
void EngineImpl::drop_finished() {
  for (SequencePtr& sequence : forked_) running_.push_back(std::move(sequence));
  forked_.clear();
  if (finished_.empty()) return;
  std::erase_if(running_, [&](const SequencePtr& sequence) {
    return std::find(finished_.begin(), finished_.end(), sequence.get()) != finished_.end();
  });
  finished_.clear();
}

}  // namespace troupe::engine
