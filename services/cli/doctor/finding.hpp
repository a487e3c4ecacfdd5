#pragma once
// What `troupe doctor` found, for people and machines.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli::doctor {

/// warning: it runs, but slower or less safely than it could. problem: it does not start, or not as asked.
enum class Level : std::uint8_t { ok, warning, problem };

struct Finding {
  Level level = Level::ok;
  std::string check;   ///< "memory"
  std::string what;    ///< one line
  std::string advice;  ///< one line, what to do about it; "" when nothing is to be done
};
using Findings = std::vector<Finding>;

[[nodiscard]] std::string_view name(Level level);
[[nodiscard]] std::size_t count(const Findings& findings, Level level);

/// A line per finding, the advice below it, and a last line that counts.
[[nodiscard]] std::string findings_text(const Findings& findings);
/// {"problems": 1, "warnings": 0, "findings": [{"check", "level", "what", "advice"}, ...]}
[[nodiscard]] std::string findings_json(const Findings& findings);

}  // namespace troupe::cli::doctor
