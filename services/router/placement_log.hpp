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
  struct Holder {
    std::string name;
    Source seen;  ///< `seen.name` is not kept
  };
  RequestId request;
  Epoch epoch;
  std::string model, policy, reason;
  std::string decode, prefill;  ///< names; empty: refused, and none
  std::string fetch;            ///< whose pages are fetched; empty: nobody's
  std::string refused;          ///< the error, empty when placed
  std::uint32_t retry_after_ms = 0;
  std::uint32_t prompt_tokens = 0;
  std::vector<Worker> decode_workers, prefill_workers;
  std::vector<Holder> sources;
};

struct LoggedPlacement {
  std::shared_ptr<const Explanation> what;
  std::optional<double> took_us;  ///< to the first token, once it came
  std::uint64_t changed = 0;      ///< counts up with every change of any of them
};

/// Threads: one; what it returns may be read by any.
class PlacementLog {
 public:
  explicit PlacementLog(std::size_t keep) : keep_(keep) {}
  void add(Explanation explanation);
  void started(const RequestId& request, Epoch epoch, double took_us);
  /// The oldest first.
  [[nodiscard]] const std::deque<LoggedPlacement>& placements() const { return placements_; }
  /// Those with a higher `changed`, in its order.
  [[nodiscard]] std::vector<const LoggedPlacement*> changed_since(std::uint64_t change) const;

 private:
  std::size_t keep_;
  std::uint64_t changes_ = 0;
  std::deque<LoggedPlacement> placements_;
};

[[nodiscard]] std::vector<Explanation::Worker> workers_of(std::span<const Candidate> candidates,
                                                          std::span<const Terms> terms);

/// Of each role as many as fit a message beside the others, the best scores first.
inline constexpr std::size_t kShownCandidates = 12;

/// One placement; of each role at most `candidates`, the rest as a count.
[[nodiscard]] std::string to_json(const LoggedPlacement& placement, std::size_t candidates);

/// {"placements": [...]}, the newest first. Times in microseconds; of request ids the first digits.
[[nodiscard]] std::string to_json(const std::deque<LoggedPlacement>& placements);

}  // namespace troupe::router
