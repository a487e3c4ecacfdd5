#include "services/router/simulator/worker_model.hpp"

#include <algorithm>

namespace troupe::router {
namespace {

constexpr std::uint32_t kPageTokens = 64;

}  // namespace

WorkerModel::WorkerModel(const WorkerSpec& spec)
    : spec_(spec),
      page_tokens_(std::min(kPageTokens, spec.block_tokens)),
      cache_(spec.pages * (kPageTokens / page_tokens_), spec.block_tokens / page_tokens_) {}

std::uint32_t WorkerModel::pages_for(std::uint32_t tokens) const {
  return (tokens + page_tokens_ - 1) / page_tokens_;
}

bool WorkerModel::submit(Sequence sequence) {
  if (waiting_.size() >= spec_.queue) return false;
  if (pages_for(sequence.prompt_tokens + sequence.output_tokens) + cache_.pages_per_block() > cache_.pages())
    return false;
  sequence.made = sequence.pages = sequence.pinned = sequence.cached = sequence.computed = 0;
  waiting_.push_back(sequence);
  return true;
}

void WorkerModel::cancel(std::uint32_t request) {
  const auto is = [&](const Sequence& sequence) { return sequence.request == request; };
  std::erase_if(waiting_, is);
  const auto at = std::find_if(running_.begin(), running_.end(), is);
  if (at == running_.end()) return;
  free(*at);
  const auto index = at - running_.begin();
  running_.erase(at);
  if (static_cast<std::size_t>(index) < chunks_.size()) chunks_.erase(chunks_.begin() + index);
}

/// Pages for the whole prompt, or nothing.
bool WorkerModel::admit(Sequence& sequence) {
  // The last token is always computed.
  const std::span<const std::uint64_t> blocks(*sequence.blocks);
  const std::uint32_t usable = (sequence.prompt_tokens - 1) / spec_.block_tokens;
  const std::uint32_t found = cache_.match(blocks.first(std::min<std::size_t>(blocks.size(), usable)));
  cache_.pin(blocks.first(found));
  const std::uint32_t cached = found * spec_.block_tokens;
  const std::uint32_t wanted = pages_for(sequence.prompt_tokens + 1) - pages_for(cached);
  if (!cache_.take(wanted)) {
    cache_.unpin(blocks.first(found));
    return false;
  }
  sequence.pinned = found;
  sequence.pages = wanted;
  sequence.cached = sequence.computed = cached;
  const std::uint32_t came = sequence.imported ? sequence.prompt_tokens : sequence.fetched;
  if (came > cached) {
    sequence.computed = std::min(came, sequence.prompt_tokens - 1);
    if (!sequence.imported) sequence.cached = sequence.computed;
    seal(sequence, sequence.computed);
  }
  return true;
}

void WorkerModel::admit() {
  while (!waiting_.empty() && running_.size() < spec_.max_rows && admit(waiting_.front())) {
    running_.push_back(waiting_.front());
    waiting_.pop_front();
  }
}

void WorkerModel::seal(Sequence& sequence, std::uint32_t upto) {
  while (sequence.pinned < sequence.blocks->size() && (sequence.pinned + 1) * spec_.block_tokens <= upto) {
    cache_.seal((*sequence.blocks)[sequence.pinned++]);
    sequence.pages -= std::min(sequence.pages, cache_.pages_per_block());
  }
}

void WorkerModel::free(Sequence& sequence) {
  cache_.unpin(std::span(*sequence.blocks).first(sequence.pinned));
  cache_.give(sequence.pages);
  sequence.pinned = sequence.pages = 0;
}

/// A page for the next token of running_[index]; the youngest gives way. false: it gave way itself.
bool WorkerModel::grow(std::size_t index) {
  const Sequence& wanting = running_[index];
  if ((wanting.prompt_tokens + wanting.made) % page_tokens_ != 0) return true;
  while (!cache_.take(1)) {
    Sequence youngest = running_.back();
    const bool itself = running_.size() - 1 == index;
    free(youngest);
    running_.pop_back();
    chunks_.pop_back();
    ++preemptions_;
    // What it made is now part of its prompt, to be computed again.
    youngest.prompt_tokens += youngest.made;
    youngest.output_tokens -= youngest.made;
    const std::uint32_t made = youngest.made;
    youngest.made = youngest.cached = youngest.computed = youngest.fetched = 0;
    youngest.epoch |= made != 0 ? 0x80000000u : 0;  // its first token was seen
    waiting_.push_front(youngest);
    if (itself) return false;
  }
  ++running_[index].pages;
  return true;
}

std::optional<Duration> WorkerModel::begin_step() {
  admit();
  if (running_.empty()) return std::nullopt;
  chunks_.assign(running_.size(), 0);
  const auto streams = static_cast<std::uint32_t>(
      std::ranges::count_if(running_, [](const Sequence& s) { return s.computed >= s.prompt_tokens; }));
  // Prompts alone make a step too: streams that fill the budget would starve them.
  std::uint32_t budget = spec_.budget_tokens - std::min(streams, spec_.budget_tokens - 1);
  double prompt = 0, rows = 0, context = 0, pairs = 0;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = running_[i];
    const std::uint32_t left = sequence.prompt_tokens - std::min(sequence.computed, sequence.prompt_tokens);
    if (left == 0) {
      if (!grow(i)) break;
      rows += 1;
      context += sequence.prompt_tokens + sequence.made;
      continue;
    }
    chunks_[i] = std::min({left, spec_.chunk_tokens, budget});
    budget -= chunks_[i];
    prompt += chunks_[i];
    pairs += double(chunks_[i]) * sequence.computed + 0.5 * chunks_[i] * chunks_[i];
    if (chunks_[i] != 0) context += sequence.computed;
  }
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>(spec_.step.us(prompt, rows, context, pairs) / spec_.speed * 1000));
}

StepEvents WorkerModel::end_step() {
  StepEvents events;
  for (std::size_t i = 0; i < running_.size() && i < chunks_.size(); ++i) {
    Sequence& sequence = running_[i];
    if (sequence.computed < sequence.prompt_tokens) {
      sequence.computed += chunks_[i];
      computed_tokens_ += chunks_[i];
      seal(sequence, sequence.computed);
      if (sequence.computed < sequence.prompt_tokens) continue;
    }
    const std::uint32_t epoch = sequence.epoch & 0x7fffffffu;
    if (sequence.output_tokens == 0) {
      events.tokens.push_back({sequence.request, epoch, sequence.cached, false, true, true});
      continue;
    }
    ++sequence.made;
    const bool first = sequence.made == 1 && (sequence.epoch & 0x80000000u) == 0;
    events.tokens.push_back(
        {sequence.request, epoch, sequence.cached, first, sequence.made == sequence.output_tokens, false});
  }
  for (auto at = running_.begin(); at != running_.end();) {
    const bool over = at->computed >= at->prompt_tokens && at->made == at->output_tokens;
    if (over) free(*at);
    at = over ? running_.erase(at) : at + 1;
  }
  chunks_.clear();
  return events;
}

std::uint32_t WorkerModel::pages_in_use() const {
  const std::uint32_t held = cache_.pages() - cache_.free() - cache_.evictable();
  return static_cast<std::uint32_t>((std::uint64_t{held} * page_tokens_ + kPageTokens - 1) / kPageTokens);
}

wire::Load WorkerModel::load(const ModelId& model) const {
  wire::Load load;
  load.model = model;
  load.running = static_cast<std::uint32_t>(running_.size());
  load.waiting = static_cast<std::uint32_t>(waiting_.size());
  load.pages_total = spec_.pages;
  load.pages_free = cache_.free() * page_tokens_ / kPageTokens;
  load.pages_cached = cache_.evictable() * page_tokens_ / kPageTokens;
  load.capacity = spec_.max_rows + spec_.queue;
  load.prompt_tokens = computed_tokens_;
  for (const Sequence& sequence : waiting_) load.queued_prompt_tokens += sequence.prompt_tokens;
  for (const Sequence& sequence : running_)
    load.queued_prompt_tokens += sequence.prompt_tokens - std::min(sequence.computed, sequence.prompt_tokens);
  return load;
}

}  // namespace troupe::router
