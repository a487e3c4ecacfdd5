#include "common/template/text.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <cstring>
#include <cwctype>
#include <utility>

namespace troupe::jinja {
namespace {

constexpr char32_t kRawByte = 0xDC00;  // Python's surrogateescape: byte b that is no UTF-8 is U+DC00 + b

/// The C library's own Unicode tables; null (then ASCII only) where the locale is missing.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

char32_t point_upper(char32_t point) {
  if (point < 0x80) return point >= 'a' && point <= 'z' ? point - 32 : point;
  return unicode() ? static_cast<char32_t>(towupper_l(static_cast<wint_t>(point), unicode())) : point;
}

char32_t point_lower(char32_t point) {
  if (point < 0x80) return point >= 'A' && point <= 'Z' ? point + 32 : point;
  return unicode() ? static_cast<char32_t>(towlower_l(static_cast<wint_t>(point), unicode())) : point;
}

void append_upper(std::string& out, char32_t point) {
  if (point == 0xDF) {
    out += "SS";  // the one common letter whose capital is two
  } else {
    append_point(out, point_upper(point));
  }
}

void append_title(std::string& out, char32_t point) {
  if (point == 0xDF) {
    out += "Ss";
  } else {
    append_point(out, point_upper(point));
  }
}

}  // namespace

std::string say(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

char32_t next_point(std::string_view bytes, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return bytes[at++] & 0x7F;
  const std::size_t extra = first >= 0xF0 && first <= 0xF4 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  if (extra == 0 || first > 0xF4 || at + extra >= bytes.size()) return kRawByte + byte(at++);
  char32_t point = first & (0x3F >> extra);
  for (std::size_t i = 1; i <= extra; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return kRawByte + byte(at++);
    point = (point << 6) | (byte(at + i) & 0x3F);
  }
  const bool overlong = (extra == 2 && point < 0x800) || (extra == 3 && point < 0x10000);
  if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return kRawByte + byte(at++);
  at += extra + 1;
  return point;
}

void append_point(std::string& out, char32_t point) {
  const auto put = [&](char32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
  if (point < 0x80) {
    put(point);
  } else if (point >= kRawByte + 0x80 && point <= kRawByte + 0xFF) {
    put(point - kRawByte);
  } else if (point < 0x800) {
    put(0xC0 | (point >> 6));
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | (point >> 12));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | (point >> 18));
    put(0x80 | ((point >> 12) & 0x3F));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

std::u32string to_points(std::string_view bytes) {
  std::u32string points;
  points.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) points += next_point(bytes, at);
  return points;
}

std::string from_points(std::u32string_view points) {
  std::string out;
  for (const char32_t point : points) append_point(out, point);
  return out;
}

bool is_ascii(std::string_view bytes) {
  for (const char c : bytes) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

std::size_t count_points(std::string_view bytes) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < bytes.size(); ++count) (void)next_point(bytes, at);
  return count;
}

std::size_t offset_of_point(std::string_view bytes, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < bytes.size(); --index) (void)next_point(bytes, at);
  return at;
}

bool is_space(char32_t point) {
  return (point >= 9 && point <= 13) || (point >= 28 && point <= 32) || point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

bool is_digit(char32_t point) { return point >= '0' && point <= '9'; }

bool is_alpha(char32_t point) {
  if (point < 0x80) return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z');
  return unicode() && iswalpha_l(static_cast<wint_t>(point), unicode());
}

bool is_upper(char32_t point) { return point_lower(point) != point; }
bool is_lower(char32_t point) { return point_upper(point) != point || point == 0xDF; }

bool is_printable(char32_t point) {
  if (point < 0x80) return point >= 32 && point != 127;
  // Format characters, surrogates and private use: printable to C, not to Python.
  static constexpr std::array<std::pair<char32_t, char32_t>, 15> kHidden = {{{0xAD, 0xAD}, {0x600, 0x605}, {0x61C, 0x61C}, {0x6DD, 0x6DD},
      {0x70F, 0x70F}, {0x180E, 0x180E}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0xD800, 0xF8FF}, {0xFEFF, 0xFEFF},
      {0xFFF9, 0xFFFB}, {0x110BD, 0x110BD}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF}}};
  if (is_space(point)) return false;
  for (const auto& [low, high] : kHidden) {
    if (point >= low && point <= high) return false;
  }
  return unicode() && iswprint_l(static_cast<wint_t>(point), unicode());
}

std::string upper(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) append_upper(out, next_point(bytes, at));
  return out;
}

std::string lower(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) append_point(out, point_lower(next_point(bytes, at)));
  return out;
}

std::string capitalize(std::string_view bytes) {
  std::string out;
  if (bytes.empty()) return out;
  std::size_t at = 0;
  append_title(out, next_point(bytes, at));
  return out + lower(bytes.substr(at));
}

std::string swap_case(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    if (is_upper(point)) {
      append_point(out, point_lower(point));
    } else {
      append_upper(out, point);
    }
  }
  return out;
}

std::string title_method(std::string_view bytes) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    if (inside) {
      append_point(out, point_lower(point));
    } else {
      append_title(out, point);
    }
    inside = is_upper(point) || is_lower(point);
  }
  return out;
}

std::string title_filter(std::string_view bytes) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    const bool breaks = is_space(point) || point == '-' || point == '(' || point == '{' || point == '[' || point == '<';
    if (inside) {
      append_point(out, point_lower(point));
    } else {
      append_upper(out, point);
    }
    inside = !breaks;
  }
  return out;
}

std::size_t find_bytes(std::string_view bytes, std::string_view wanted, std::size_t from) {
  if (from > bytes.size()) return std::string_view::npos;
  const std::string_view rest = bytes.substr(from);
  if (wanted.empty()) return from;
  if (rest.empty()) return std::string_view::npos;
  const void* const found = memmem(rest.data(), rest.size(), wanted.data(), wanted.size());
  return found == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

std::size_t rfind_bytes(std::string_view bytes, std::string_view wanted) {
  constexpr std::size_t kShort = 32;  // up to here the plain search is linear enough, and needs no copies
  if (wanted.size() <= kShort || wanted.size() > bytes.size()) return bytes.rfind(wanted);
  const std::string backwards(bytes.rbegin(), bytes.rend()), mirrored(wanted.rbegin(), wanted.rend());
  const std::size_t at = find_bytes(backwards, mirrored, 0);
  return at == std::string_view::npos ? at : bytes.size() - at - wanted.size();
}

std::string_view strip(std::string_view bytes, const std::optional<std::string>& chars, bool left, bool right) {
  std::u32string set = chars ? to_points(*chars) : std::u32string();
  std::sort(set.begin(), set.end());
  const auto goes = [&](char32_t point) { return chars ? std::binary_search(set.begin(), set.end(), point) : is_space(point); };
  while (left && !bytes.empty()) {
    std::size_t at = 0;
    if (!goes(next_point(bytes, at))) break;
    bytes.remove_prefix(at);
  }
  while (right && !bytes.empty()) {
    std::size_t start = bytes.size() - 1;
    while (start > 0 && bytes.size() - start < 4 && (static_cast<unsigned char>(bytes[start]) & 0xC0) == 0x80) --start;
    std::size_t at = start;
    char32_t point = next_point(bytes, at);
    if (at != bytes.size()) {  // not one whole code point: the last byte stands alone
      start = bytes.size() - 1;
      point = kRawByte + static_cast<unsigned char>(bytes[start]);
    }
    if (!goes(point)) break;
    bytes.remove_suffix(bytes.size() - start);
  }
  return bytes;
}

std::vector<std::string_view> split_lines(std::string_view bytes, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t here = at;
    const char32_t point = next_point(bytes, at);
    const bool ends = (point >= 10 && point <= 13) || (point >= 28 && point <= 30) || point == 0x85 || point == 0x2028 || point == 0x2029;
    if (!ends) continue;
    if (point == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    lines.push_back(bytes.substr(start, (keep_ends ? at : here) - start));
    start = at;
  }
  if (start < bytes.size()) lines.push_back(bytes.substr(start));
  return lines;
}

std::string escape_html(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace troupe::jinja
