#pragma once
// Errors as Anthropic's clients expect them: {"type":"error","error":{"type","message"}}.
#include <string>

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway::anthropic {

/// The body, and as the payload of a stream's error event.
[[nodiscard]] std::string error_json(const ApiError& error);
/// With the status that this API has for it: 529 where the cluster has no room.
[[nodiscard]] Response error_response(const ApiError& error);

}  // namespace troupe::gateway::anthropic
