#pragma once
// Reading characters by class, for the hand-made scanners in pre_tokenizer_stages.cpp.
#include <cstddef>
#include <cstdint>

#include "common/tokenizer/unicode_classes.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {

/// A character's classes and size; size 0: behind the end, where no class holds.
struct Glyph {
  std::uint16_t classes = 0;
  std::uint8_t length = 0;
  [[nodiscard]] bool is(unsigned mask) const { return (classes & mask) != 0; }
  [[nodiscard]] bool exists() const { return length != 0; }
};

/// Valid UTF-8 up to `end`; positions are byte offsets at character boundaries.
class Scan {
 public:
  Scan(const char* text, std::size_t end) : text_(text), end_(end), classes_(char_classes()) {}

  [[nodiscard]] std::size_t end() const { return end_; }
  [[nodiscard]] Glyph at(std::size_t pos) const {
    if (pos >= end_) return {};
    const auto lead = static_cast<unsigned char>(text_[pos]);
    if (lead < 0x80) return {classes_[lead], 1};
    return {classes_[utf8::decode_valid(text_ + pos)],
            static_cast<std::uint8_t>(utf8::length_from_lead(text_[pos]))};
  }
  /// 0 behind the end.
  [[nodiscard]] char byte(std::size_t pos) const { return pos < end_ ? text_[pos] : '\0'; }
  [[nodiscard]] char32_t code(std::size_t pos) const {
    return pos < end_ ? utf8::decode_valid(text_ + pos) : U'\0';
  }

  /// Where the run of characters of any class in `mask` ends.
  [[nodiscard]] std::size_t run(std::size_t pos, unsigned mask) const {
    for (Glyph glyph = at(pos); glyph.is(mask); glyph = at(pos)) pos += glyph.length;
    return pos;
  }
  /// Where the run of characters outside every class in `mask` ends.
  [[nodiscard]] std::size_t run_outside(std::size_t pos, unsigned mask) const {
    for (Glyph glyph = at(pos); glyph.exists() && !glyph.is(mask); glyph = at(pos)) pos += glyph.length;
    return pos;
  }
  /// Where the run of characters for which `fits(code)` ends.
  template <class Fits>
  [[nodiscard]] std::size_t run_of(std::size_t pos, const Fits& fits) const {
    while (pos < end_ && fits(code(pos))) pos += utf8::length_from_lead(text_[pos]);
    return pos;
  }

 private:
  const char* text_;
  std::size_t end_;
  const std::uint16_t* classes_;
};

}  // namespace troupe
