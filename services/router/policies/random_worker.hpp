#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// Any worker that has a place, drawn by the running number of requests.
class RandomWorker final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
