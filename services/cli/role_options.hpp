#pragma once
// From a configuration to what the parts of a process take: those that can be given again while they run
// (LiveConfig).
#include <cstddef>
#include <filesystem>

#include "common/base/log.hpp"
#include "common/config/config.hpp"
#include "services/gateway/edge.hpp"
#include "services/router/router_state.hpp"

namespace troupe::cli {

[[nodiscard]] log::Level log_level(const Config& config);
/// Choices in flight.
[[nodiscard]] std::size_t most_streams(const Config& config);
/// Where a gateway keeps files and batches; empty: nowhere.
[[nodiscard]] std::filesystem::path batch_folder(const Config& config);
[[nodiscard]] gateway::EdgeTuning edge_tuning(const Config& config);
[[nodiscard]] router::RouterTuning router_tuning(const Config& config);

}  // namespace troupe::cli
