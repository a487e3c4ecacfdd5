#pragma once
// `options` of Ollama's requests.
#include <cstdint>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::ollama {

/// Writes what they say into a chat's or a completion's body, and Ollama's own defaults where they say
/// nothing. Returns num_ctx, 0 where it was not given. `options` may be null. Errors: invalid_type,
/// invalid_value, unsupported_parameter.
[[nodiscard]] Parsed<std::uint32_t> read_options(const Json* options, Json& chat);

}  // namespace troupe::gateway::ollama
