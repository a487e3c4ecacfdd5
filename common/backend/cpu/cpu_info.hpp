#pragma once
// What this machine and this process offer: instruction sets and the CPUs it may use.
#include <cstdint>
#include <string_view>

#include "common/backend/backend.hpp"

namespace troupe::backend::cpu {

[[nodiscard]] bool supports(Isa isa);
[[nodiscard]] Isa best_isa();

/// CPUs of the affinity mask, fewer when the control group's quota allows less; at least 1.
[[nodiscard]] std::uint32_t usable_cpus();
/// Whole CPUs a quota of `quota` per `period` buys (at least 1); 0 when the text ("max 100000", "150000 100000") sets none.
[[nodiscard]] std::uint32_t cpus_of_quota(std::string_view cpu_max);

}  // namespace troupe::backend::cpu
