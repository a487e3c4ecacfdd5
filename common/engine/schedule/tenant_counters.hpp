#pragma once
// Fairness between tenants by virtual token counters [Sheng et al. 2024, "Fairness in Serving Large Language Models",
// arXiv:2401.00588, algorithm 2]: who was served least, per weight, is served next. A tenant that comes back after a pause is
// lifted to the others, so that idling saves up nothing. Two tenants that both always wait never differ by more than twice
// what one request is charged.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe::engine {

using TenantWeights = std::map<std::string, double, std::less<>>;

/// Of "name=weight" entries. Errors: config_invalid for one without a name, or whose weight is not a number in 0.001..1000.
[[nodiscard]] Expected<TenantWeights> parse_tenant_weights(std::span<const std::string> entries);

/// Threads: one owner. Cost: O(log tenants), arrived() and forgetting O(tenants). Bounded: beyond `most_tenants` those who were
/// served least are forgotten; a forgotten or unknown tenant counts as served as much as the most served forgotten one.
class TenantCounters {
 public:
  explicit TenantCounters(TenantWeights weights = {}, std::size_t most_tenants = 4096)
      : weights_(std::move(weights)), most_tenants_(most_tenants) {}

  /// A request arrives while those of `waiting` wait (names may repeat).
  void arrived(std::string_view tenant, std::span<const std::string_view> waiting);
  void charge_prompt(std::string_view tenant, std::uint64_t tokens) { charge(tenant, kPromptCost * static_cast<double>(tokens)); }
  void charge_answer(std::string_view tenant, std::uint64_t tokens) { charge(tenant, kAnswerCost * static_cast<double>(tokens)); }
  /// Service received per weight, in prompt tokens.
  [[nodiscard]] double counter(std::string_view tenant) const;
  [[nodiscard]] std::size_t tenants() const { return counters_.size(); }

  static constexpr double kPromptCost = 1, kAnswerCost = 2;  ///< as in the paper

 private:
  void charge(std::string_view tenant, double cost);
  void set(std::string_view tenant, double value);

  TenantWeights weights_;
  std::size_t most_tenants_;
  std::map<std::string, double, std::less<>> counters_;
  double last_ = 0;       // of the tenant charged last: where one starts when nobody waits
  double forgotten_ = 0;  // largest counter that was forgotten
};

}  // namespace troupe::engine
