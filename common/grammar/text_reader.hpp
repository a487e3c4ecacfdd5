#pragma once
// A text that is parsed character by character.
#include <cstddef>
#include <optional>
#include <string_view>

#include "common/grammar/char_set.hpp"

namespace troupe::grammar {

/// Threads: one.
class TextReader {
 public:
  /// `text`: valid UTF-8.
  explicit TextReader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] std::size_t at() const { return at_; }
  void seek(std::size_t at) { at_ = at; }
  /// The next byte; 0 at the end.
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool starts(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!starts(what)) return false;
    at_ += what.size();
    return true;
  }
  /// The next character; not at the end.
  char32_t take_char();
  /// Exactly `digits` hexadecimal digits.
  std::optional<char32_t> take_hex(std::size_t digits);
  /// Decimal digits, at most 9 of them.
  std::optional<std::uint32_t> take_number();

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

/// Offset of the first byte that is not part of valid UTF-8.
[[nodiscard]] std::optional<std::size_t> invalid_utf8_offset(std::string_view text);

}  // namespace troupe::grammar
