#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// The worker with the fewest sequences, whatever it has cached: the baseline that prefix-aware policies are
/// measured against. Ties: the smaller name, then the node.
class LeastLoaded final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
