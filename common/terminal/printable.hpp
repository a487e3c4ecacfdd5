#pragma once
// Text of others on our terminal.
#include <string>
#include <string_view>

namespace troupe {

/// Drops control characters but line feed and tab, so that a file or a model cannot send escape sequences.
/// UTF-8 passes whole, also when cut between two pieces; C1 controls (U+0080 to U+009F) inside one piece are
/// dropped too.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace troupe
