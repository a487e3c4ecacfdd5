#pragma once
// Regular expressions, the part that JSON Schema asks for (ECMA-262 without look-around and references), as
// expressions of a grammar: no backtracking, whatever is written.
#include <cstdint>
#include <functional>
#include <string_view>

#include "common/grammar/builder.hpp"

namespace troupe::grammar {

/// How characters of a text are written: as they are, or inside a JSON string.
using SpellChars = std::function<Expr(Builder&, const CharSet&)>;
[[nodiscard]] Expr spell_plain(Builder& builder, const CharSet& set);

struct RegexOptions {
  SpellChars spell = spell_plain;
  bool anywhere =
      false;  ///< it may match a part of the text; else all of it. ^ and $ say so at an alternative's ends
  std::uint32_t nesting = 64;
};

struct Regex {
  Expr expr = 0;
  std::uint32_t shortest = 0, longest = 0;  ///< characters; kNoLimit: without end
};

/// Errors: invalid_argument with the offset and what is not supported there (back references, look-around,
/// \b, anchors inside, flags). \d, \w and \s are of ASCII, and so are what their negations match; `.` leaves
/// out line ends.
[[nodiscard]] Expected<Regex> parse_regex(Builder& builder, std::string_view pattern,
                                          const RegexOptions& options);

}  // namespace troupe::grammar
