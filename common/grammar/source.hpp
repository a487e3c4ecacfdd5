#pragma once
// What a client says an answer must look like, as it travels: a kind and a text.
#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::grammar {

enum class Kind : std::uint8_t {
  none,         ///< anything
  json_object,  ///< any JSON object; no text
  json_schema,  ///< text: the schema
  regex,        ///< text: a regular expression that matches the whole answer
  choice,       ///< text: a JSON array of strings, one of which is the answer
  gbnf,         ///< text: rules in llama.cpp's GBNF
  tagged,       ///< text: values between fixed texts, as JSON (tagged.hpp)
};
[[nodiscard]] constexpr Kind last_value(Kind) {
  return Kind::tagged;
}

/// Longest text of a source: it fits a control message beside everything else.
inline constexpr std::size_t kMostSourceBytes = 32 * 1024;

struct Source {
  Kind kind = Kind::none;
  std::string text;
  bool operator==(const Source&) const = default;
};

}  // namespace troupe::grammar
