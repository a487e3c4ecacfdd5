#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// One worker after the other, whatever they hold or do, by the running number of requests.
class RoundRobin final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
