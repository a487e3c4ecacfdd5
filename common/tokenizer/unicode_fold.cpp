#include "common/tokenizer/unicode_fold.hpp"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

/// As of Unicode 8; a few characters have changed their class since.
bool is_accent(UChar32 code) {
  switch (code) {
    case 0x1734:
      return true;
    case 0x1885:
    case 0x1886:
    case 0x111C9:
      return false;
    default:
      return u_charType(code) == U_NON_SPACING_MARK && in_unicode_8(static_cast<char32_t>(code));
  }
}

void append_lower(UChar32 code, std::string& out) {
  if (!is_accent(code)) utf8::append(out, static_cast<char32_t>(u_tolower(code)));
}

}  // namespace

bool in_unicode_8(char32_t code) {
  UVersionInfo age{};
  u_charAge(static_cast<UChar32>(code), age);
  return age[0] >= 1 && age[0] <= 8;
}

void append_folded(char32_t code, std::string& out) {
  if (code < 0x80) {
    const bool capital = code >= 'A' && code <= 'Z';
    out += static_cast<char>(capital ? code + ('a' - 'A') : code);
    return;
  }
  constexpr std::int32_t kLongest = 32;  // UTF-16 units: the longest decomposition has 4 characters
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* const nfd = unorm2_getNFDInstance(&error);
  std::array<UChar, kLongest> parts{};
  const auto own = static_cast<UChar32>(code);
  std::int32_t length = -1;
  if (U_SUCCESS(error)) length = unorm2_getDecomposition(nfd, own, parts.data(), kLongest, &error);
  if (U_FAILURE(error) || length < 0) return append_lower(own, out);
  const auto count = static_cast<std::size_t>(length);
  for (std::size_t at = 0; at < count; ++at) {
    auto part = static_cast<UChar32>(parts[at]);
    if (part >= 0xD800 && part < 0xDC00 && at + 1 < count)  // the first of a pair
      part = 0x10000 + ((part - 0xD800) << 10) + (static_cast<UChar32>(parts[++at]) - 0xDC00);
    append_lower(part, out);
  }
}

}  // namespace troupe
