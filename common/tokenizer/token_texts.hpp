#pragma once
// What each token of a vocabulary stands for, for those who look at texts token by token.
#include <string>
#include <vector>

#include "common/tokenizer/tokenizer.hpp"

namespace troupe {

/// The bytes of every token, in the order of their ids; special ones have none.
[[nodiscard]] inline std::vector<std::string> token_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  texts.reserve(tokenizer.vocab_size());
  for (std::size_t id = 0; id < tokenizer.vocab_size(); ++id)
    texts.push_back(tokenizer.token_bytes(static_cast<TokenId>(id)));
  return texts;
}

}  // namespace troupe
