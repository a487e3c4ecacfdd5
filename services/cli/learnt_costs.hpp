#pragma once
// What a step of a running cluster's workers takes, as its router has learnt it from the requests it placed.
#include <string>
#include <string_view>

#include "common/base/error.hpp"
#include "services/router/simulator/worker_model.hpp"

namespace troupe::cli {

/// From `GET /state` of the process that hosts a router: arrangement.costs_us. What a token of context takes
/// is part of the others there. Errors: file_malformed (no such state), file_unsupported (nothing was learnt
/// yet).
[[nodiscard]] Expected<router::StepModel> parse_learnt_costs(std::string_view state_json);

/// Asks `url` (http://host:port of a router's metrics port, or of a `serve`). Errors: those of the HTTP
/// client, io_failed, and as above.
[[nodiscard]] Expected<router::StepModel> fetch_learnt_costs(const std::string& url);

}  // namespace troupe::cli
