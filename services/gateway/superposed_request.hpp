#pragma once
// Whether a request asks for superposed drafts: troupe.decoding "superposed", settings in troupe.superposed.
#include <cstdint>
#include <optional>

#include "common/sampling/params.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// drafts 0: it does not. `object` is the body, its fields checked by the schema; `choices` its n, as many
/// drafts are made; `max_tokens` as it was sent. Errors: invalid_value, unsupported_parameter naming what
/// drafts do not go with.
[[nodiscard]] Parsed<SuperposedParams> read_superposed(const Json& object, std::uint32_t choices,
                                                       std::optional<std::uint32_t> max_tokens);

}  // namespace troupe::gateway
