#pragma once
// Fill in the middle: `suffix` of a completion, for models that were taught it [Bavarian et al. 2022,
// arXiv:2207.14255].
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe {
class Tokenizer;
}

namespace troupe::gateway {

struct FillInTokens {
  TokenId prefix = 0, suffix = 0, middle = 0;
};

/// Those of a vocabulary, by the spellings of StarCoder, Qwen and DeepSeek. nullopt: it has none.
[[nodiscard]] std::optional<FillInTokens> fill_in_tokens(const Tokenizer& tokenizer);

/// The prompt that asks for what stands between two texts, prefix first. A begin token stays in front.
[[nodiscard]] std::vector<TokenId> fill_in_prompt(const FillInTokens& marks, std::span<const TokenId> before,
                                                  std::span<const TokenId> after, TokenId begin_token);

}  // namespace troupe::gateway
