#pragma once
// Who is admitted next, and who gives way: priorities, fairness between tenants within one priority, and an end to waiting.
#include <cstdint>
#include <optional>
#include <span>

namespace troupe::engine {

/// What decides about one sequence, waiting or running.
struct Standing {
  std::int32_t priority = 0;    ///< higher goes first
  std::uint64_t arrival = 0;    ///< running number of its request
  bool preempted = false;       ///< it ran before
  double tenant_counter = 0;    ///< TenantCounters
  std::uint32_t overtaken = 0;  ///< how often one that arrived later was admitted while it waited
};

/// The waiting one to admit next: the oldest of those overtaken `most_overtakes` times or more, else by priority, then
/// preempted ones, oldest first, then the least served tenant, then the oldest. So nobody is ever overtaken more often than
/// that. None when nobody waits. Pure.
[[nodiscard]] std::optional<std::size_t> next_admission(std::span<const Standing> waiting, std::uint32_t most_overtakes);

/// `a` keeps its pages before `b` does. A total order over different arrivals, so that the first always goes on: page
/// pressure cannot make everybody give way to each other. Pure.
[[nodiscard]] bool outranks(const Standing& a, const Standing& b, std::uint32_t most_overtakes);

}  // namespace troupe::engine
