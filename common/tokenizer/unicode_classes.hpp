#pragma once
// The character classes that pre-tokenizer rules speak of (\p{L}, \s, ...), from ICU's tables: this is the
// ICU wall.
#include <cstdint>

namespace troupe {

/// Bits of a character's classes.
struct CharClass {
  static constexpr std::uint16_t letter = 1;        ///< \p{L}
  static constexpr std::uint16_t number = 2;        ///< \p{N}
  static constexpr std::uint16_t space = 4;         ///< \s: White_Space
  static constexpr std::uint16_t punctuation = 8;   ///< \p{P}
  static constexpr std::uint16_t symbol = 16;       ///< \p{S}
  static constexpr std::uint16_t mark = 32;         ///< \p{M}
  static constexpr std::uint16_t newline = 64;      ///< \r and \n
  static constexpr std::uint16_t upper_like = 128;  ///< \p{Lu} \p{Lt} \p{Lm} \p{Lo} \p{M}
  static constexpr std::uint16_t lower_like = 256;  ///< \p{Ll} \p{Lm} \p{Lo} \p{M}
  static constexpr std::uint16_t other = 512;       ///< \p{C} without \p{Cn}: controls, formats, private use
};

/// 0x110000 entries, one per code point. Threads: any. Cost: the first call builds the table, some
/// milliseconds.
[[nodiscard]] const std::uint16_t* char_classes();

}  // namespace troupe
