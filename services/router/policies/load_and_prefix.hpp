#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// The least predicted work before the first token: uncached prompt tokens, plus a queue's worth of tokens
/// for each sequence ahead, plus a penalty when pages must be waited for. Ties: more cached, then the smaller
/// name, then the node.
class LoadAndPrefix final : public RankingPolicy {
 public:
  [[nodiscard]] Expected<Decision> choose(const RequestView& request,
                                          std::span<const Candidate> candidates) const override;
};

}  // namespace troupe::router
