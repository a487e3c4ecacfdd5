#include "common/engine/schedule/admission.hpp"

namespace troupe::engine {
namespace {

bool admitted_before(const Standing& a, const Standing& b, std::uint32_t most_overtakes) {
  const bool a_starves = a.overtaken >= most_overtakes, b_starves = b.overtaken >= most_overtakes;
  if (a_starves != b_starves) return a_starves;
  if (a_starves) return a.arrival < b.arrival;
  if (a.priority != b.priority) return a.priority > b.priority;
  if (a.preempted != b.preempted) return a.preempted;
  if (!a.preempted && a.tenant_counter != b.tenant_counter) return a.tenant_counter < b.tenant_counter;
  return a.arrival < b.arrival;
}

}  // namespace

std::optional<std::size_t> next_admission(std::span<const Standing> waiting, std::uint32_t most_overtakes) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < waiting.size(); ++i)
    if (!best || admitted_before(waiting[i], waiting[*best], most_overtakes)) best = i;
  return best;
}

bool outranks(const Standing& a, const Standing& b, std::uint32_t most_overtakes) {
  const bool a_starves = a.overtaken >= most_overtakes, b_starves = b.overtaken >= most_overtakes;
  if (a_starves != b_starves) return a_starves;
  if (!a_starves && a.priority != b.priority) return a.priority > b.priority;
  return a.arrival < b.arrival;
}

}  // namespace troupe::engine
