#include "common/engine/batch/batch_run.hpp"

#include <algorithm>

#include "common/base/hash.hpp"
#include "common/kv/page_pool.hpp"

namespace troupe::engine {
namespace {

std::uint32_t whole_pages(std::uint64_t tokens) { return static_cast<std::uint32_t>(tokens / kPageTokens); }
std::uint32_t pages_for(std::uint64_t tokens) { return whole_pages(tokens + kPageTokens - 1); }

RequestId prefix_id(const RequestId& first_member) {
  Hasher hasher;
  return hasher.id(first_member).bytes(std::as_bytes(std::span("prefix", 6))).finish<RequestId>();
}

}  // namespace

BatchRun::BatchRun(Engine& engine, std::vector<Request> requests, const BatchOptions& options, OnEvent on_event)
    : engine_(engine), requests_(std::move(requests)), options_(options), on_event_(std::move(on_event)) {
  const std::uint32_t all = engine_.stats().pages_total;
  kv_pages_ = options_.kv_pages == 0 ? all : std::min(options_.kv_pages, all);
  for (Request& request : requests_) request.priority = options_.priority;
  plan();
}

BatchRun::~BatchRun() {
  for (const auto& [id, job] : job_of_) engine_.cancel(id);
  for (const State& state : states_)
    if (state.prefix_pages > 0) engine_.cancel(state.prefix_id);
}

void BatchRun::plan() {
  std::vector<BatchItem> items;
  for (const Request& request : requests_)
    items.push_back({request.prompt, request.max_tokens, request.tenant, options_.share_prefixes && !request.prompt_logprobs});
  for (PrefixGroup& group : prefix_groups(items, kBlockTokens)) {
    std::uint32_t largest = 0;
    for (const std::uint32_t member : group.members) largest = std::max(largest, pages_of(requests_[member], group.prefix_tokens));
    if (group.prefix_tokens == 0 || pages_for(group.prefix_tokens) + largest <= kv_pages_) {
      groups_.push_back(std::move(group));
    } else {  // a pinned prefix would leave no room for its largest member
      for (const std::uint32_t member : group.members) groups_.push_back({0, {member}});
    }
  }
  if (options_.share_prefixes) order_groups(groups_, items);
  counts_.saved_tokens = saved_tokens(groups_);
  counts_.computed_tokens = computed_tokens(groups_, items);
  states_.resize(groups_.size());
  jobs_.resize(requests_.size());
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    State& state = states_[i];
    state.unfinished = static_cast<std::uint32_t>(groups_[i].members.size());
    state.prefix_id = prefix_id(requests_[groups_[i].members[0]].id);
    counts_.groups += groups_[i].prefix_tokens > 0 ? 1 : 0;
    for (const std::uint32_t member : groups_[i].members) {
      jobs_[member] = {i, requests_[member].choices, pages_of(requests_[member], groups_[i].prefix_tokens)};
      state.member_pages = std::max(state.member_pages, jobs_[member].pages);
    }
  }
}

/// Pages of a whole answer beside the shared ones.
std::uint32_t BatchRun::pages_of(const Request& request, std::uint32_t prefix_tokens) const {
  const std::uint64_t prompt = request.prompt.size();
  const std::uint64_t most = prompt - std::min<std::uint64_t>(prompt, request.resumed_tokens) + request.max_tokens;
  const std::uint64_t end = std::clamp<std::uint64_t>(most, prompt, std::max<std::uint64_t>(prompt, engine_.context_length()));
  return whole_pages(prompt) - whole_pages(prefix_tokens) + request.choices * (pages_for(end) - whole_pages(prompt));
}

/// Changes what a group is promised, if that has room. Less is always granted, and the first member of a batch that runs alone.
bool BatchRun::promise(State& state, std::uint32_t running_pages, bool left) {
  const std::uint32_t promised = state.prefix_pages + std::max(running_pages, left ? state.member_pages : 0u);
  const std::uint32_t others = counts_.pages - state.promised;
  const bool alone = others == 0 && state.running_pages == 0;
  if (promised > state.promised && !alone && others + promised > kv_pages_) return false;
  counts_.pages = others + promised;
  state.promised = promised;
  state.running_pages = running_pages;
  return true;
}

void BatchRun::feed() {
  while (first_open_ < groups_.size() && !members_left(first_open_)) ++first_open_;
  for (std::size_t i = first_open_; i < groups_.size(); ++i)
    if (!feed_group(i)) return;
}

/// false: there is no room; nobody overtakes.
bool BatchRun::feed_group(std::size_t index) {
  if (states_[index].stage == Stage::waiting && !start_group(index)) return false;
  if (states_[index].stage == Stage::prefix) return true;  // its members wait; the next group's prompts fill the steps
  while (members_left(index))
    if (!start_member(index)) return false;
  return true;
}

bool BatchRun::start_group(std::size_t index) {
  State& state = states_[index];
  const std::uint32_t tokens = cache_works_ ? groups_[index].prefix_tokens : 0;
  state.prefix_pages = pages_for(tokens);
  if (!promise(state, 0, true)) {
    state.prefix_pages = 0;
    return false;
  }
  state.stage = Stage::members;
  if (tokens == 0) return true;
  const Request& first = requests_[groups_[index].members[0]];
  Request prefix;
  prefix.id = state.prefix_id;
  prefix.epoch = first.epoch;
  prefix.tenant = first.tenant;
  prefix.priority = options_.priority;
  prefix.prompt.assign(first.prompt.begin(), first.prompt.begin() + tokens);
  const auto submitted = engine_.submit_prefill(std::move(prefix), tokens, [](const PrefillProgress&) { return true; });
  if (submitted) {
    group_of_[state.prefix_id] = index;
    state.stage = Stage::prefix;
    return true;
  }
  state.prefix_pages = 0;
  const bool later = submitted.error().code == Errc::queue_full;
  if (later) state.stage = Stage::waiting;
  (void)promise(state, 0, !later);  // else its members say themselves what is wrong
  return !later;
}

bool BatchRun::start_member(std::size_t index) {
  State& state = states_[index];
  const std::uint32_t job = groups_[index].members[state.next];
  const std::uint32_t before = state.running_pages;
  const bool last = state.next + 1 == groups_[index].members.size();
  if (!promise(state, before + jobs_[job].pages, !last)) return false;
  const auto submitted = engine_.submit(requests_[job]);
  if (!submitted && submitted.error().code == Errc::queue_full) {
    (void)promise(state, before, true);
    return false;
  }
  state.next += 1;
  if (submitted) job_of_[requests_[job].id] = job;
  else refuse(job, submitted.error());
  return true;
}

void BatchRun::unpin(State& state) {
  engine_.release_prefill(state.prefix_id);
  state.prefix_pages = 0;
}

void BatchRun::take(const StepOutput& output) {
  for (const RequestId& id : output.prefilled) {
    const auto found = group_of_.find(id);
    if (found == group_of_.end()) continue;
    const std::size_t index = found->second;
    group_of_.erase(found);
    states_[index].stage = Stage::members;
    // An engine without a prefix cache computes one prefix in vain, no more.
    const Request& first = requests_[groups_[index].members[0]];
    cache_works_ = engine_.cached_tokens_for(first.tenant, first.prompt) >= groups_[index].prefix_tokens;
    if (!cache_works_) unpin(states_[index]);
  }
  for (const TokenEvent& event : output.tokens) {
    const auto found = job_of_.find(event.id);
    if (found == job_of_.end()) continue;
    const std::size_t job = found->second;
    on_event_(job, event);
    if (event.finish == FinishReason::none) continue;
    jobs_[job].choices -= 1;
    if (jobs_[job].choices > 0) continue;
    job_of_.erase(found);
    end_job(job);
  }
  constexpr std::uint32_t kMostIdleSteps = 2;  // one is normal after a preemption
  idle_steps_ = output.rows == 0 ? idle_steps_ + 1 : 0;
  if (idle_steps_ < kMostIdleSteps) return;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    State& state = states_[i];
    if (state.stage != Stage::members || state.prefix_pages == 0) continue;
    unpin(state);
    (void)promise(state, state.running_pages, members_left(i));
  }
}

void BatchRun::end_job(std::size_t job) {
  counts_.finished += 1;
  const std::size_t index = jobs_[job].group;
  State& state = states_[index];
  state.unfinished -= 1;
  if (state.unfinished == 0 && state.prefix_pages > 0) unpin(state);
  (void)promise(state, state.running_pages - jobs_[job].pages, members_left(index));  // never more than before
}

void BatchRun::refuse(std::size_t job, const Error& error) {
  TokenEvent event;
  event.id = requests_[job].id;
  event.epoch = requests_[job].epoch;
  event.choice = requests_[job].first_choice;
  event.finish = FinishReason::error;
  event.error = error;
  on_event_(job, event);
  end_job(job);
}

}  // namespace troupe::engine
