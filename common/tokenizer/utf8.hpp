#pragma once
// UTF-8 as this project needs it: find the first bad byte, read known-good text fast, and turn a stream of
// bytes into whole characters. "Bad" is what the Unicode Standard (section 3.9, table 3-7) calls ill-formed:
// overlong forms, surrogates and values over U+10FFFF included.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::utf8 {

enum class StepKind : std::uint8_t { character, invalid, incomplete };

/// What stands at one position. `length` is the character's, or that of the longest ill-formed part (>= 1).
struct Step {
  StepKind kind = StepKind::invalid;
  std::uint8_t length = 1;
};

/// `text` must not be empty. incomplete: the text ends inside what may still become a character.
[[nodiscard]] Step step(std::string_view text);

/// Byte offset of the first ill-formed or cut-off sequence; nullopt: the text is valid.
[[nodiscard]] std::optional<std::size_t> first_invalid(std::string_view text);

/// Moves every finished character of `pending` to the end of `out`; an ill-formed part becomes one U+FFFD, a
/// tail that may still be completed stays in `pending`.
void drain(std::string& pending, std::string& out);

/// The text with each ill-formed part, a cut-off tail included, replaced by U+FFFD.
[[nodiscard]] std::string with_replacements(std::string_view text);

void append(std::string& out, char32_t code);

/// Bytes of the character that starts with `lead`. The text must be valid.
[[nodiscard]] inline std::size_t length_from_lead(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

/// Code point at `at`. The text must be valid there.
[[nodiscard]] inline char32_t decode_valid(const char* at) {
  const auto byte = [at](int i) { return static_cast<char32_t>(static_cast<unsigned char>(at[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return lead;
  if (lead < 0xE0) return (lead & 0x1F) << 6 | (byte(1) & 0x3F);
  if (lead < 0xF0) return (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

}  // namespace troupe::utf8
