#pragma once
// Fields that clients of vLLM and llama.cpp send beside OpenAI's, and those of OpenAI's that are about how an
// answer is made: read and checked here, given their tokens by settle_fields.
#include "services/gateway/generate_request.hpp"

namespace troupe::gateway {

/// Samplers, rules about tokens, what shows in the text, service_tier, prediction. After the rest of what
/// both endpoints share. Errors: invalid_value, invalid_type, missing_required_parameter, with the field's
/// path.
[[nodiscard]] Parsed<void> read_fields(const Json& object, GenerateRequest& out);

/// best_of without a beam search: more choices are made than told. Errors: invalid_value.
[[nodiscard]] Parsed<void> read_best_of(std::uint32_t best_of, const RequestLimits& limits,
                                        GenerateRequest& out);

/// prompt_logprobs, once the log-probabilities of the answer are settled. Errors: invalid_value beside
/// `stream`.
[[nodiscard]] Parsed<void> read_prompt_logprobs(const Json& object, GenerateRequest& out);

}  // namespace troupe::gateway
