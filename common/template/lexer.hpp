#pragma once
// Cuts a template into tokens, with white-space control as Hugging Face sets it: trim_blocks and lstrip_blocks on.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

enum class TokenKind : std::uint8_t { data, print_begin, print_end, block_begin, block_end, name, text, integer, real, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 0;
  std::string text;  ///< data, name, symbol: as written; text: unescaped; numbers: digits without underscores
};

/// Throws Fault. Cost: O(source).
[[nodiscard]] std::vector<Token> tokenize(std::string_view source);

}  // namespace troupe::jinja
