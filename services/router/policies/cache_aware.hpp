#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// The rule of SGLang's router [Zheng et al. 2024, arXiv:2312.07104; the cache-aware policy of its router]:
/// out of balance, the shortest queue; else the worker that holds the most of the prompt if that is more than
/// half of it, else the one with the most room for new pages. Out of balance: queues differ by more than 32
/// sequences and the longest is more than 1.0001 times the shortest.
class CacheAware final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
