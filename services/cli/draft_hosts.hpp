#pragma once
// The draft models of a process: model files to hosts, within the memory there is.
#include <ostream>
#include <vector>

#include "common/config/config.hpp"
#include "services/draft/draft_service.hpp"

namespace troupe::cli {

/// Loads every model of option `draft.model`, or of `model` where that is empty; shows progress on `out`.
/// Errors: those of load_engines.
[[nodiscard]] Expected<std::vector<draft::HostSetup>> load_draft_hosts(const Config& config,
                                                                       std::ostream& out);

}  // namespace troupe::cli
