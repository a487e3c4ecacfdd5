#pragma once
// "Did you mean": the nearest of the known names to one that is not known.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace troupe {

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours cost 1 each.
/// Cost: O(a * b); both are cut at 128 characters.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate with the smallest distance (the earlier one on a tie); "" when none is within half of the
/// longer length.
[[nodiscard]] std::string_view nearest_name(std::string_view wanted, std::span<const std::string> candidates);

/// "; did you mean http.port?" or "".
[[nodiscard]] std::string did_you_mean(std::string_view wanted, std::span<const std::string> candidates);

}  // namespace troupe
