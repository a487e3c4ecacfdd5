#pragma once
// What fields say in words, in tokens of a model.
#include "services/gateway/generate_request.hpp"

namespace troupe {
class Tokenizer;
}

namespace troupe::gateway {

/// Fills in rules.bad_words, sampling.dry's breakers and `reference`, and checks ids. Errors: invalid_value.
[[nodiscard]] Parsed<void> settle_fields(GenerateRequest& request, const Tokenizer& tokenizer);

/// Tokens of words that must not come about, as vLLM finds them: of each word, and of the word behind a space
/// where that is as many tokens and another first one.
[[nodiscard]] Parsed<std::vector<std::vector<TokenId>>> bad_word_tokens(const std::vector<std::string>& words,
                                                                        const Tokenizer& tokenizer);

/// Tokens that hold one of `texts`, and runs of tokens: those that end with its beginning, with its rest
/// behind them, as llama.cpp finds them. Cost: O(vocabulary x texts).
void find_breakers(const std::vector<std::string>& texts, const Tokenizer& tokenizer, DryParams& dry);

}  // namespace troupe::gateway
