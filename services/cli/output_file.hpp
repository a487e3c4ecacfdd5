#pragma once
// What a command was asked to write beside its output.
#include <string>

#include "common/base/error.hpp"

namespace troupe::cli {

/// Replaces what the file held. Errors: io_failed.
[[nodiscard]] Expected<void> write_file(const std::string& path, const std::string& content);

}  // namespace troupe::cli
