#pragma once
// What a client asks its answer to look like, in the ways of OpenAI (response_format), of vLLM (guided_*,
// structured_outputs) and of llama.cpp (grammar, json_schema).
#include "common/grammar/source.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// Kind none when nothing is asked. Errors: invalid_value with the field's path: more than one way at once,
/// or what cannot be compiled (the message names keyword and JSON pointer); those of check_fields. Cost: a
/// compilation.
[[nodiscard]] Parsed<grammar::Source> read_structured_output(const Json& object);

}  // namespace troupe::gateway
