#include "common/grammar/text_reader.hpp"

#include <algorithm>
#include <cstdint>

namespace troupe::grammar {
namespace {

std::size_t length_of(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

char32_t decode(std::string_view bytes) {
  static constexpr std::uint8_t kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t one = static_cast<std::uint8_t>(bytes[0]) & kLeadBits[bytes.size()];
  for (std::size_t i = 1; i < bytes.size(); ++i)
    one = (one << 6) | (static_cast<std::uint8_t>(bytes[i]) & 0x3F);
  return one;
}

}  // namespace

char32_t TextReader::take_char() {
  const std::size_t length = std::max<std::size_t>(1, length_of(static_cast<std::uint8_t>(text_[at_])));
  const std::string_view bytes = text_.substr(at_, length);
  at_ += bytes.size();
  return decode(bytes);
}

std::optional<char32_t> TextReader::take_hex(std::size_t digits) {
  char32_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = peek(i);
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<char32_t>(digit);
  }
  at_ += digits;
  return value;
}

std::optional<std::uint32_t> TextReader::take_number() {
  constexpr std::size_t kMostDigits = 9;
  std::uint32_t value = 0;
  std::size_t digits = 0;
  while (peek(digits) >= '0' && peek(digits) <= '9') {
    if (digits == kMostDigits) return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(peek(digits++) - '0');
  }
  if (digits == 0) return std::nullopt;
  at_ += digits;
  return value;
}

std::optional<std::size_t> invalid_utf8_offset(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = length_of(static_cast<std::uint8_t>(text[at]));
    if (length == 0 || at + length > text.size()) return at;
    for (std::size_t i = 1; i < length; ++i)
      if ((static_cast<std::uint8_t>(text[at + i]) & 0xC0) != 0x80) return at;
    const char32_t one = decode(text.substr(at, length));
    static constexpr char32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (one < kShortest[length] || one > kLastChar || (one >= 0xD800 && one <= 0xDFFF)) return at;
    at += length;
  }
  return std::nullopt;
}

}  // namespace troupe::grammar
