#pragma once
// GBNF, the grammar notation of llama.cpp's server: named rules over literals, classes, groups and
// repetitions.
#include <string_view>

#include "common/grammar/builder.hpp"

namespace troupe::grammar {

/// Defines the rules of `text`; returns the one named "root".
///   rule ::= alternatives   # to the end of the line, or further inside brackets or behind a '|'
///   "text" [a-z] [^"\\] . ( ) | * + ? {2} {2,} {2,5} rule-name    escapes: \n \r \t \\ \" \[ \] \xHH \uHHHH
///   \UHHHHHHHH
/// Errors: invalid_argument with the line and what was found.
[[nodiscard]] Expected<Rule> parse_gbnf(Builder& builder, std::string_view text, const Limits& limits);

}  // namespace troupe::grammar
