#pragma once
// Rules about tokens that no softmax knows, as masks for sample(): tokens that alone are allowed, words that
// must not come about, and how long an answer is at least. A draw depends on nothing but the rules and the
// answer so far, so a stream goes on with them anywhere.
#include <cstdint>
#include <span>

#include "common/base/error.hpp"
#include "common/sampling/params.hpp"

namespace troupe {

/// Takes out of `allowed` (bit t % 64 of word t / 64 for token t) what may not follow `answer`. `stop_tokens`
/// end an answer. Cost: O(words + rules). Threads: any.
void apply_rules(const TokenRules& rules, std::span<const TokenId> stop_tokens,
                 std::span<const TokenId> answer, std::span<std::uint64_t> allowed);

/// Errors: invalid_argument naming the rule and the token.
[[nodiscard]] Expected<void> validate(const TokenRules& rules, std::uint32_t vocab);

}  // namespace troupe
