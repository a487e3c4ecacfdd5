#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// Prompts that begin alike go to one worker, found by rendezvous hashing of the beginning; a worker that has
/// more than its bound of the load passes on to the next [Mirrokni, Thorup and Zadimoghaddam 2018,
/// arXiv:1608.01350, with bound 1.25]. It knows no cache.
class ConsistentHash final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
