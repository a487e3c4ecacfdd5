#pragma once
// Which of several choices an answer tells.
#include <cstddef>
#include <span>
#include <vector>

namespace troupe::gateway {

/// The `count` best of `scores`, best first; of equal ones the first. At most all.
[[nodiscard]] std::vector<std::size_t> best_choices(std::span<const double> scores, std::size_t count);

}  // namespace troupe::gateway
