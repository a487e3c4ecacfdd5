#pragma once
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// The worker whose first token is predicted soonest, by coefficients learnt of each, plus what the placement
/// costs others: prompts behind it and streams that share its steps.
///
///   queue      base + tokens ahead                      } on the prefill worker, if that makes it sooner
///   prefill    own uncached tokens                      }
///   transfer   pages that a prefill worker's computing does not hide
///   decode     decode rows in the same steps, and waiting for pages
///   others     a share of the computing it adds, and of the decode rows it slows
///
/// - A prefix whose holder is busy is computed again where that is sooner; its holder's queue counts a little
///   more than it is, so that a second copy is there before the first melts.
/// - Candidates that are about equal: the session's own by rendezvous hashing, else the better of two drawn
///   by the ticket, so that several routers do not agree on one [Mitzenmacher 2001].
/// - A first token predicted later than the deadline, or than the objective, is refused now, with the time
///   until it would fit. Priority over 0 is exempt from the objective; under 0 it counts half.
class PredictedTtft final : public RouterPolicy {
 public:
  explicit PredictedTtft(const PolicyOptions& options) : options_(options) {}
  [[nodiscard]] Expected<Decision> place(const RequestView& request, const Offer& offer) const override;

 private:
  [[nodiscard]] std::size_t among_equals(const RequestView& request, const Offer& offer,
                                         const std::vector<Terms>& terms, std::size_t best) const;
  /// Takes `able` from workers whose first token would come too late. Errors: queue_full when all would be.
  [[nodiscard]] Expected<void> forbid_late(const RequestView& request, const Offer& offer,
                                           std::vector<Terms>& terms) const;
  /// Microseconds to a first token that is not too late, where an idle worker takes `idle_us`.
  [[nodiscard]] double latest(const RequestView& request, double idle_us) const;

  PolicyOptions options_;
};

}  // namespace troupe::router
