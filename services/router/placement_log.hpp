#pragma once
// The last placements with every candidate and every term, for GET /state.
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// A placement as it was decided.
struct Explanation {
  struct Worker {
    std::string name;
    Candidate seen;  ///< `seen.name` is not kept
    Terms terms;
  };
  RequestId request;
  Epoch epoch;
  std::string model, policy, reason;
  std::string decode, prefill;  ///< names; empty: refused, and none
  std::string refused;          ///< the error, empty when placed
  std::uint32_t retry_after_ms = 0;
  std::uint32_t prompt_tokens = 0;
  std::vector<Worker> decode_workers, prefill_workers;
};

struct LoggedPlacement {
  std::shared_ptr<const Explanation> what;
  std::optional<double> took_us;  ///< to the first token, once it came
};

/// Threads: one; what it returns may be read by any.
class PlacementLog {
 public:
  explicit PlacementLog(std::size_t keep) : keep_(keep) {}
  void add(Explanation explanation);
  void started(const RequestId& request, Epoch epoch, double took_us);
  /// The oldest first.
  [[nodiscard]] const std::deque<LoggedPlacement>& placements() const { return placements_; }

 private:
  std::size_t keep_;
  std::deque<LoggedPlacement> placements_;
};

[[nodiscard]] std::vector<Explanation::Worker> workers_of(std::span<const Candidate> candidates,
                                                          std::span<const Terms> terms);

/// {"placements": [...]}, the newest first. Times in microseconds; of request ids the first digits.
[[nodiscard]] std::string to_json(const std::deque<LoggedPlacement>& placements);

}  // namespace troupe::router
