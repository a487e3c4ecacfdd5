#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// The rule of Dynamo's KV router at temperature 0: the least of weight * blocks to prefill (those queued
/// ahead and the own missing ones) + blocks in use for decoding, the own ones included; weight 1. Ties are
/// drawn.
class KvOverlap final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
