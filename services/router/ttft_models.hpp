#pragma once
// One TtftModel per worker and model, and one over all workers of a kind: a worker that has just joined is
// predicted like the others until it has shown what it is. So is one that showed nothing for a minute: who
// was slow once would otherwise get no request that could prove him fast again.
#include <map>
#include <utility>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"
#include "services/router/ttft_model.hpp"

namespace troupe::router {

/// Threads: one. Cost: O(log workers).
class TtftModels {
 public:
  /// `prefill`: of the role that computes prompts for others.
  [[nodiscard]] TtftCoefficients costs(const NodeId& node, const ModelId& model, bool prefill,
                                       TimePoint now) const;
  void learn(const NodeId& node, const ModelId& model, bool prefill, const TtftFeatures& what, double took_us,
             TimePoint now);
  void forget(const NodeId& node);
  [[nodiscard]] std::size_t size() const { return workers_.size(); }

 private:
  struct Known {
    TtftModel model;
    TimePoint taught{};
  };
  std::map<std::pair<NodeId, ModelId>, Known> workers_;
  std::map<std::pair<ModelId, bool>, TtftModel> shared_;
};

}  // namespace troupe::router
