#include "services/router/prompt_drain.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::router {
namespace {

constexpr double kFadesUs = 3e6;   // time with a queue in which an observation loses 1 - 1/e of its weight
constexpr double kEnoughUs = 5e5;  // time with a queue that says something

}  // namespace

void PromptDrain::heard(const NodeId& node, std::uint64_t computed_tokens, std::uint64_t queued_tokens,
                        TimePoint now) {
  const auto [at, first] = workers_.try_emplace(node);
  Worker& worker = at->second;
  const std::uint64_t done = computed_tokens - std::min(computed_tokens, worker.computed);
  const double passed = std::chrono::duration<double, std::micro>(now - worker.at).count();
  // It cannot have been without work between if it did less than what waited.
  if (!first && passed > 0 && worker.queued > done) {
    const double keep = std::exp(-passed / kFadesUs);
    worker.us = worker.us * keep + passed;
    worker.tokens = worker.tokens * keep + static_cast<double>(done);
  }
  worker.at = now;
  worker.computed = computed_tokens;
  worker.queued = queued_tokens;
}

double PromptDrain::token_us(const NodeId& node) const {
  const auto worker = workers_.find(node);
  if (worker == workers_.end() || worker->second.us < kEnoughUs) return 0;
  return worker->second.us / std::max(1.0, worker->second.tokens);
}

}  // namespace troupe::router
