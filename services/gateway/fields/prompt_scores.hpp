#pragma once
// vLLM's prompt_logprobs: how likely the model found each token of a prompt.
#include <cstdint>
#include <span>
#include <string>

#include "services/gateway/answer_format.hpp"

namespace troupe::gateway {

/// A JSON array with an entry for each token of `prompt`: null for those without a score, as the first one,
/// else an object that has, by id, the token itself and the `alternatives` likeliest ones. `scores` are those
/// of the last tokens. A token's rank is null where it is none of the reported ones.
[[nodiscard]] std::string prompt_scores(std::span<const TokenId> prompt,
                                        std::span<const GeneratedToken> scores, std::uint32_t alternatives,
                                        const AnswerFormat& format);

}  // namespace troupe::gateway
