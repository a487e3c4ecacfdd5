#pragma once
// Which beam search a request asks for: troupe.beam, or vLLM's use_beam_search with best_of (width, else n)
// and length_penalty.
#include <cstdint>

#include "common/sampling/params.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// width 0: none. `object` is the body, its fields checked by the schema; `choices` its n, which may not
/// exceed the width. Errors: missing_required_parameter, invalid_value, unsupported_parameter naming what a
/// search does not go with.
[[nodiscard]] Parsed<BeamParams> read_beam(const Json& object, std::uint32_t choices);

}  // namespace troupe::gateway
