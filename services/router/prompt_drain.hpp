#pragma once
// How fast a worker works its queue of prompts off, measured while it has one: what its coefficients
// (ttft_model.hpp) explain term by term, this says as one number, whatever holds the worker up (pages, decode
// rows, other processes). Under a load that stays the same the terms cannot be told apart and one may go to
// nothing; a queue is never thought cheaper than this.
#include <cstdint>
#include <map>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

/// Threads: one. Cost: O(log workers).
class PromptDrain {
 public:
  /// A worker's heartbeat: prompt tokens it computed since it began, and those that wait.
  void heard(const NodeId& node, std::uint64_t computed_tokens, std::uint64_t queued_tokens, TimePoint now);
  void forget(const NodeId& node) { workers_.erase(node); }

  /// Microseconds a queued token; 0: it has had no queue yet for long enough to say.
  [[nodiscard]] double token_us(const NodeId& node) const;

 private:
  struct Worker {
    TimePoint at{};
    std::uint64_t computed = 0, queued = 0;
    double us = 0, tokens = 0;  // with a queue, fading
  };
  std::map<NodeId, Worker> workers_;
};

}  // namespace troupe::router
