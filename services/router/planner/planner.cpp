#include "services/router/planner/planner.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "services/router/cluster_view.hpp"

namespace troupe::router {
namespace {

using wire::Role;

constexpr double kFirstPromptRate = 1000;  // tokens per second, until measured
constexpr double kNewest = 0.3;            // weight of a new measurement
constexpr double kPagesFull = 0.95;        // little is left to grow into

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

struct Count {
  std::size_t givers = 0, receivers = 0;
  const WorkerSample* chosen = nullptr;  ///< the least loaded ready giver
};
Count count_of(std::span<const WorkerSample> workers, Role from, Role to) {
  Count count;
  const auto rank = [](const WorkerSample& w) {
    return std::make_tuple(w.queued_prompt_tokens, w.running + w.waiting, w.name, w.node);
  };
  for (const WorkerSample& worker : workers) {
    count.receivers += worker.role == to ? 1 : 0;
    if (worker.role != from || !worker.ready) continue;
    ++count.givers;
    if (count.chosen == nullptr || rank(worker) < rank(*count.chosen)) count.chosen = &worker;
  }
  return count;
}

}  // namespace

std::optional<WorkerSample> sample_of(const Node& node) {
  const wire::Join& who = node.identity;
  if ((who.role != Role::prefill && who.role != Role::decode) || node.loads.empty()) return std::nullopt;
  WorkerSample sample{who.node, who.name, who.role, node.ready(), node.heard};
  for (const wire::Load& load : node.loads) {
    sample.queued_prompt_tokens += load.queued_prompt_tokens;
    sample.prompt_tokens += load.prompt_tokens;
    sample.generated_tokens += load.generated_tokens;
    sample.running += load.running;
    sample.waiting += load.waiting;
    const std::uint32_t available = std::min(load.pages_total, load.pages_free + load.pages_cached);
    if (load.pages_total != 0)
      sample.pages_used = std::max(sample.pages_used, 1 - static_cast<double>(available) / load.pages_total);
  }
  return sample;
}

void Planner::observe(std::span<const WorkerSample> workers, const std::optional<StepCosts>& costs,
                      TimePoint now) {
  if (!quiet_since_) quiet_since_ = now;
  learn(workers, now);
  const double passed = last_ ? seconds(now - *last_) : 0;
  const double share = 1 - std::exp(-passed / seconds(options_.window));
  prefill_ += share * (mean_pressure(workers, Role::prefill) - prefill_);
  decode_ += share * (mean_pressure(workers, Role::decode) - decode_);
  last_ = now;
  if (costs) compare_arrangements(workers, *costs, now);
}

void Planner::compare_arrangements(std::span<const WorkerSample> workers, const StepCosts& costs,
                                   TimePoint now) {
  view_ = {judge_.verdict(), traffic_.traffic(now), costs, static_cast<std::uint32_t>(workers.size()), {}};
  if (traffic_.placements(now) < options_.least_placements || changing_) return;
  view_.comparison = compare(view_.traffic, costs, view_.workers);
  judge_.judge(*view_.comparison, now);
  view_.verdict = judge_.verdict();
}

std::optional<RoleChange> Planner::decide(std::span<const WorkerSample> workers, TimePoint now) {
  if (!settle(workers, now) || now - *quiet_since_ < options_.dwell) return std::nullopt;
  std::optional<RoleChange> change;
  if (options_.arrange) change = rearrange(workers);
  const bool roles_stay = !options_.arrange || judge_.verdict() != Arrangement::hybrid;
  if (!change && roles_stay) change = move(workers, Role::prefill, Role::decode);
  if (!change && roles_stay) change = move(workers, Role::decode, Role::prefill);
  if (change) changing_ = Changing{*change, now};
  return change;
}

/// A step towards the arrangement that is held for better.
std::optional<RoleChange> Planner::rearrange(std::span<const WorkerSample> workers) const {
  if (judge_.verdict() == Arrangement::hybrid) {
    const Count count = count_of(workers, Role::prefill, Role::decode);
    if (count.chosen != nullptr) return RoleChange{count.chosen->node, Role::decode};
  }
  if (judge_.verdict() == Arrangement::split) {
    const Count count = count_of(workers, Role::decode, Role::prefill);
    if (count.receivers == 0 && count.givers >= 2) return RoleChange{count.chosen->node, Role::prefill};
  }
  return std::nullopt;
}

/// What each worker's counters say about the time since the last call.
void Planner::learn(std::span<const WorkerSample> workers, TimePoint now) {
  std::map<NodeId, Known> next;
  for (const WorkerSample& worker : workers) {
    const auto before = known_.find(worker.node);
    Known known = before == known_.end() ? Known{} : before->second;
    if (before != known_.end() && worker.heard <= known.at) {  // no news
      next.emplace(worker.node, known);
      continue;
    }
    const double passed = before == known_.end() ? 0 : seconds(worker.heard - known.at);
    const auto grew = [](std::uint64_t to, std::uint64_t from) {
      return static_cast<double>(to > from ? to - from : 0);
    };
    if (passed > 0 && known.queued > 0 && worker.queued_prompt_tokens > 0) {
      const double rate = grew(worker.prompt_tokens, known.prompt_tokens) / passed;
      known.prompt_rate += (known.prompt_rate == 0 ? 1 : kNewest) * (rate - known.prompt_rate);
    }
    const double made = passed > 0 ? grew(worker.generated_tokens, known.generated_tokens) : 0;
    traffic_.generated(made, now);
    if (worker.running == 0) {
      known.seconds_apart = 0;
    } else if (made > 0) {
      const double apart = 0.5 * (worker.running + known.running) * passed / made;
      known.seconds_apart += (known.seconds_apart == 0 ? 1 : kNewest) * (apart - known.seconds_apart);
    }
    known.at = worker.heard;
    known.prompt_tokens = worker.prompt_tokens;
    known.generated_tokens = worker.generated_tokens;
    known.queued = worker.queued_prompt_tokens;
    known.running = worker.running;
    next.emplace(worker.node, known);
  }
  known_ = std::move(next);
}

double Planner::pressure_of(const WorkerSample& worker) const {
  const Known& known = known_.at(worker.node);
  if (worker.role == Role::prefill) {
    const double rate = known.prompt_rate > 0 ? known.prompt_rate : kFirstPromptRate;
    return static_cast<double>(worker.queued_prompt_tokens) / rate / seconds(options_.prefill_queue);
  }
  const double slots =
      worker.waiting == 0 ? 0 : 1 + static_cast<double>(worker.waiting) / std::max(1U, worker.running);
  return std::max({slots, known.seconds_apart / seconds(options_.itl), worker.pages_used / kPagesFull});
}

double Planner::mean_pressure(std::span<const WorkerSample> workers, Role role) const {
  double sum = 0;
  int count = 0;
  for (const WorkerSample& worker : workers) {
    if (worker.role != role || !worker.ready) continue;
    sum += pressure_of(worker);
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

/// false: a worker is on its way from one role to the other.
bool Planner::settle(std::span<const WorkerSample> workers, TimePoint now) {
  if (!changing_) return true;
  const auto at = std::ranges::find(workers, changing_->what.node, &WorkerSample::node);
  const bool arrived = at != workers.end() && at->ready && at->role == changing_->what.to;
  const bool lost = at == workers.end() || now - changing_->since > 2 * options_.drain_limit;
  if (!arrived && !lost) return false;
  changing_.reset();
  quiet_since_ = now;
  return true;
}

/// The least loaded worker of `from`, if it can be spared and is needed.
std::optional<RoleChange> Planner::move(std::span<const WorkerSample> workers, Role from, Role to) const {
  const double giving = pressure(from), receiving = pressure(to);
  if (receiving <= options_.high || giving >= options_.low) return std::nullopt;
  const auto [givers, receivers, chosen] = count_of(workers, from, to);
  // One of each stays; a cluster without the other role was meant to be so.
  if (givers < 2 || receivers == 0) return std::nullopt;
  const double afterwards = giving * static_cast<double>(givers) / static_cast<double>(givers - 1);
  if (afterwards >= (options_.low + options_.high) / 2) return std::nullopt;
  return RoleChange{chosen->node, to};
}

}  // namespace troupe::router
