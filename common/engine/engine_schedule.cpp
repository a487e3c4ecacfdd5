// Who is admitted, who gives way, and who computes how many rows.
#include <algorithm>

#include "common/engine/engine_impl.hpp"

namespace troupe::engine {

/// Starts waiting sequences, in the order of next_admission, while their prompts' pages fit. One that does not fit holds back
/// those behind it.
void EngineImpl::admit() {
  while (!waiting_.empty()) {
    std::vector<Standing> standings;
    for (const SequencePtr& sequence : waiting_) standings.push_back(standing_of(*sequence));
    const auto next = std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(*next_admission(standings, options_.most_overtakes)));
    Sequence& sequence = **next;
    if (!make_place(sequence)) return;
    for (const SequencePtr& other : waiting_)
      if (other->standing.arrival < sequence.standing.arrival) other->standing.overtaken += 1;
    running_.splice(running_.end(), waiting_, next);
  }
}

Standing EngineImpl::standing_of(const Sequence& sequence) const {
  Standing standing = sequence.standing;
  standing.tenant_counter = places_.counter(sequence.request->tenant);
  return standing;
}

/// Starts a sequence, if need be in the place of running ones of lower priority, the last in rank first.
bool EngineImpl::make_place(Sequence& sequence) {
  const bool full = running_.size() >= options_.max_sequences;
  if (!full && start(sequence)) return true;
  // Nobody is sent back in vain: what those below hold must be enough.
  std::uint32_t below = 0, pages = 0;
  for (const SequencePtr& other : running_) {
    if (!gives_way(*other, sequence)) continue;
    below += 1;
    pages += static_cast<std::uint32_t>(other->pages->pages().size());
  }
  const std::uint32_t needed = (room_for(sequence) + kPageTokens - 1) / kPageTokens;
  if (below == 0 || pool_.available() + pages < needed) return false;
  const std::size_t others = running_.size();
  if (others - below >= options_.max_sequences) return false;
  while (true) {
    const auto victim = last_in_rank();
    if (victim == running_.end() || !gives_way(**victim, sequence)) return false;
    preempt(victim);
    if (running_.size() < options_.max_sequences && start(sequence)) return true;
  }
}

/// A running sequence of strictly lower priority, which has not waited too long itself.
bool EngineImpl::gives_way(const Sequence& running, const Sequence& to) const {
  return !running.prefill_only() && running.standing.overtaken < options_.most_overtakes &&
         running.standing.priority < to.standing.priority;
}

/// The running sequence that loses its pages first; prefill-only ones never do: others read their pages.
std::list<EngineImpl::SequencePtr>::iterator EngineImpl::last_in_rank() {
  auto last = running_.end();
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    if ((*it)->prefill_only()) continue;
    if (last == running_.end() || !outranks((*it)->standing, (*last)->standing, options_.most_overtakes)) last = it;
  }
  return last;
}

/// Tokens whose pages an admission reserves: what is known and one more to draw.
std::uint32_t EngineImpl::room_for(const Sequence& sequence) const {
  return std::min(context_, sequence.wanted() + (sequence.prefill_only() ? 0u : 1u));
}

bool EngineImpl::start(Sequence& sequence) {
  const std::uint32_t wanted = sequence.wanted();
  // The last token is always computed, for its logits; a prompt that nothing is drawn from may be cached whole.
  const std::uint32_t cached = adopt(sequence, sequence.draws() ? wanted - 1 : wanted);
  // A page to grow into is left to each running sequence and to each beam, or the newcomer would soon be sent back.
  const std::size_t growing = running_.size() + sequence.request->beam.width;
  if (!sequence.pages->reserve(room_for(sequence)) || (!running_.empty() && pool_.available() < growing)) {
    sequence.pages.reset();
    return false;
  }
  swap_in(sequence);
  if (!sequence.started) {
    sequence.started = true;
    sequence.times.admitted = clock_.now();
    sequence.cached_tokens = cached;
    stats_.cached_tokens += cached;
    places_.charge_prompt(sequence.request->tenant, wanted - cached);
  }
  if (sequence.news && !sequence.news->absences.empty() && sequence.news->absences.back().to == TimePoint{})
    sequence.news->absences.back().to = clock_.now();
  sequence.served = stats_.steps;
  if (sequence.remaining() > 1) {
    std::vector<std::string_view> tenants;
    for (const SequencePtr& other : running_)
      if (!other->decoding()) tenants.push_back(other->request->tenant);
    rows_.arrived(sequence.request->tenant, tenants);
  }
  if (sequence.prefill_only() && cached > 0) {
    if (sequence.news) sequence.times.first_token = sequence.times.last_token = clock_.now();
    for (std::uint32_t layer = 0; layer < layers(); ++layer) sequence.feed->covered(layer, cached, sequence.pages->pages());
  }
  return true;
}

/// Who computes how many rows; pages for them are reserved. Who finds no page takes those of the last in rank.
std::vector<EngineImpl::Planned> EngineImpl::plan(StepOutput& out) {
  for (auto it = running_.begin(); it != running_.end();) {
    Sequence& sequence = **it;
    // Admission reserved a prompt's pages; the tail of an imported one still needs its own, and waits when there are none.
    const bool fits = sequence.prefill_only() || make_room(sequence, static_cast<std::uint32_t>(sequence.tokens.size()));
    // Only now: make_room may have taken the ones behind.
    it = !fits && sequence.decoding() ? preempt(it) : std::next(it);
  }
  const std::vector<Sequence*> candidates = service_order();
  std::vector<RowDemand> demands;
  for (const Sequence* sequence : candidates)
    demands.push_back({sequence->remaining(), sequence->decoding(), sequence->pages->length()});
  StepScheduler::Plan shares = scheduler_.plan(demands);
  if (draft(candidates, demands, shares.rows)) shares = scheduler_.plan(demands);
  const std::vector<std::uint32_t>& rows = shares.rows;
  out.budget = shares.budget;
  std::vector<Planned> planned;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Sequence& sequence = *candidates[i];
    if (rows[i] == 0) continue;
    const std::uint32_t begin = sequence.pages->length();
    std::uint32_t given = rows[i];
    if (sequence.draft && (given != sequence.draft->verification.rows() || !sequence.pages->reserve(begin + given))) {
      sequence.draft.reset();  // another's rows took the page meanwhile
      given = 1;
    }
    if (!sequence.pages->reserve(begin + given)) continue;  // an imported prompt's tail: waits for pages
    planned.push_back({&sequence, begin, given, demands[i].decoding});
  }
  // Nobody fits beside the others: the last in rank gives way, and the next step finds its pages.
  if (planned.empty() && candidates.size() > 1)
    if (const auto victim = last_in_rank(); victim != running_.end()) preempt(victim);
  return planned;
}

/// Who wants rows, in the order they are given: streams, then prompts, by priority and the tenant's share of prompt rows, and
/// before all others those that got none for too long.
std::vector<Sequence*> EngineImpl::service_order() const {
  std::vector<Sequence*> order;
  for (const SequencePtr& sequence : running_) {
    if (sequence->remaining() == 0 || (sequence->prefill_only() && sequence->feed->waiting())) continue;
    order.push_back(sequence.get());
  }
  struct Key {
    bool prompt, in_turn;
    std::int64_t priority;
    double share;
    std::uint64_t turn;
    auto operator<=>(const Key&) const = default;
  };
  const auto key = [&](const Sequence* s) -> Key {
    if (s->decoding()) return {false, false, 0, 0, s->served};  // streams take turns when they are more than a step holds
    if (stats_.steps - s->served >= kMostPassedOver) return {true, false, 0, 0, s->standing.arrival};
    return {true, true, -std::int64_t{s->standing.priority}, rows_.counter(s->request->tenant), s->standing.arrival};
  };
  std::stable_sort(order.begin(), order.end(), [&](const Sequence* a, const Sequence* b) { return key(a) < key(b); });
  return order;
}

void EngineImpl::learn(const std::vector<Planned>& planned, Duration time) {
  StepLoad load;
  std::uint64_t streams = 0;
  for (const Planned& item : planned) {
    streams += item.decode ? item.rows : 0;
    const StepLoad part = chunk_load(item.begin, item.rows);
    load.rows += part.rows;
    load.context += part.context;
    item.sequence->served = stats_.steps;
    if (!item.decode) rows_.charge_prompt(item.sequence->request->tenant, item.rows);
  }
  scheduler_.finished(load, streams, time);
  stats_.stream_rows += streams;
  stats_.step_context += load.context;
}

/// Reserves pages up to `length` tokens, taking them from the last in rank if need be. false: that is this one.
bool EngineImpl::make_room(Sequence& sequence, std::uint32_t length) {
  while (!sequence.pages->reserve(length)) {
    if (yield_fetch()) continue;
    const auto victim = last_in_rank();
    if (victim == running_.end() || victim->get() == &sequence) return false;
    if (sequence.beams && (*victim)->beams == sequence.beams) return false;  // they go together
    preempt(victim);
  }
  return true;
}

/// Back to the queue, before others of its priority; what it computed may stay cached or in host memory. It continues identically:
/// draws are keyed by position. Returns the running one behind it, and behind those that went with it.
std::list<EngineImpl::SequencePtr>::iterator EngineImpl::preempt(std::list<SequencePtr>::iterator victim) {
  const auto next = fold_beams(victim);
  fold_superposed(**victim);
  swap_out(**victim);
  (*victim)->pages.reset();
  (*victim)->seat.reset();
  (*victim)->standing.preempted = true;
  stats_.preemptions += 1;
  if (StageNews* news = (*victim)->news.get(); news != nullptr && news->absences.size() < StageNews::kMostAbsences) {
    news->absences.push_back({clock_.now(), {}, (*victim)->swapped.has_value()});
    (*victim)->news_due = true;
  }
  waiting_.splice(waiting_.begin(), running_, victim);
  return next;
}

/// Keeps the pages of a sequence that gives way in host memory, if that is cheaper and has room.
void EngineImpl::swap_out(Sequence& sequence) {
  const std::uint32_t tokens = sequence.pages->computed_length(), pages = (tokens + kPageTokens - 1) / kPageTokens;
  const std::size_t page = layer_page_bytes(), bytes = page * layers() * pages;
  if (!preemption_.swaps(tokens, bytes, std::min(options_.chunk, options_.token_budget), scheduler_.model())) return;
  auto buffer = swap_.take(bytes);
  if (!buffer) return;
  const TimePoint started = clock_.now();
  std::span<std::byte> to = buffer->bytes();
  for (std::uint32_t layer = 0; layer < layers(); ++layer) {
    for (std::uint32_t i = 0; i < pages; ++i, to = to.subspan(page))
      runner_->export_page(layer, sequence.pages->pages()[i], to.first(page));
  }
  preemption_.copied(bytes, clock_.now() - started);
  sequence.swapped = SwappedPages{std::move(*buffer), tokens};
  stats_.swaps += 1;
}

/// Brings back what the prefix cache no longer holds; its pages are reserved.
void EngineImpl::swap_in(Sequence& sequence) {
  if (!sequence.swapped) return;
  SwappedPages swapped = std::move(*sequence.swapped);
  sequence.swapped.reset();
  SequencePages& own = *sequence.pages;
  if (own.length() >= swapped.tokens) return;
  const std::uint32_t first = own.length() / kPageTokens, pages = (swapped.tokens + kPageTokens - 1) / kPageTokens;
  if (own.length() % kPageTokens != 0) {
    own.truncate(first * kPageTokens);  // the page that a hit ended in comes whole
    TROUPE_CHECK(own.reserve(room_for(sequence)).has_value(), "the pages were reserved before");
  }
  copy(own.append(std::span(sequence.tokens).subspan(own.length(), swapped.tokens - own.length())));
  const TimePoint started = clock_.now();
  const std::size_t page = layer_page_bytes();
  for (std::uint32_t layer = 0; layer < layers(); ++layer) {
    for (std::uint32_t i = first; i < pages; ++i)
      runner_->import_page(layer, own.pages()[i], swapped.buffer.bytes().subspan((std::size_t{layer} * pages + i) * page, page));
  }
  preemption_.copied(page * layers() * (pages - first), clock_.now() - started);
  own.computed(swapped.tokens);
}

}  // namespace troupe::engine
