#pragma once
// Which Troupe this is.
#include <string_view>

namespace troupe::cli {

/// "0.1.0"
[[nodiscard]] std::string_view version();

}  // namespace troupe::cli
