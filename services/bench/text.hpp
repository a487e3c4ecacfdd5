#pragma once
// Text to send when the words do not matter but their number does. Lengths are in words of one token each in
// the usual vocabularies; what a server counts (usage.prompt_tokens) is what reports show.
#include <cstddef>
#include <string>

#include "services/bench/random.hpp"

namespace troupe::load {

/// Sentences of about `tokens` tokens, at least one word; ends with a full stop and no space.
[[nodiscard]] std::string prose(Random& random, std::size_t tokens);
/// Functions in a C-like language, about `tokens` tokens, at least one function.
[[nodiscard]] std::string code(Random& random, std::size_t tokens);
/// One word of the list, to name a thing.
[[nodiscard]] std::string word(Random& random);

}  // namespace troupe::load
