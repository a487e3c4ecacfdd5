// Python's spelling of strings and numbers, and its reading of numbers.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

void append_escaped(std::string& out, char32_t point) {
  std::array<char, 16> buffer{};
  const char* const format = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer.data(), buffer.size(), format, static_cast<unsigned>(point));
  out += buffer.data();
}

/// Underscores are allowed between digits, nowhere else; an empty string says they were misplaced.
std::string without_underscores(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '_') {
      out += bytes[i];
      continue;
    }
    const auto word = [&](std::size_t at) { return at < bytes.size() && std::isalnum(static_cast<unsigned char>(bytes[at])) != 0; };
    if (i == 0 || !word(i - 1) || !word(i + 1)) return {};
  }
  return out;
}

}  // namespace

std::string quote_repr(std::string_view bytes) {
  const bool doubled = bytes.find('\'') != std::string_view::npos && bytes.find('"') == std::string_view::npos;
  const char quote = doubled ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    if (point == static_cast<char32_t>(quote) || point == '\\') {
      out += '\\';
      append_point(out, point);
    } else if (point == '\n') {
      out += "\\n";
    } else if (point == '\r') {
      out += "\\r";
    } else if (point == '\t') {
      out += "\\t";
    } else if (is_printable(point)) {
      append_point(out, point);
    } else {
      append_escaped(out, point);
    }
  }
  return out + quote;
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  std::string_view spelled(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  std::string out;
  if (spelled.front() == '-') {
    out = "-";
    spelled.remove_prefix(1);
  }
  const std::size_t mark = spelled.find('e');
  const int exponent = std::atoi(std::string(spelled.substr(mark + 1)).c_str());
  std::string digits(1, spelled[0]);
  if (mark > 2) digits += spelled.substr(2, mark - 2);
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += say({".", digits.substr(1)});
    std::array<char, 16> tail{};
    std::snprintf(tail.data(), tail.size(), "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return out + tail.data();
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<std::int64_t> parse_integer(std::string_view bytes, int base) {
  std::string text = without_underscores(strip(bytes, std::nullopt, true, true));
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.erase(0, 1);
  const auto prefix = text.size() > 2 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : '\0';
  const int named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
  if (named != 0 && (base == 0 || base == named)) {
    text.erase(0, 2);
    base = named;
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || text.empty()) return std::nullopt;
  if (negative) text.insert(0, 1, '-');
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view bytes) {
  std::string text = lower(without_underscores(strip(bytes, std::nullopt, true, true)));
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.erase(0, 1);
  }
  if (text.empty() || text[0] == '-' || text.find('(') != std::string::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) value = std::strtod(text.c_str(), nullptr);
  return negative ? -value : value;
}

}  // namespace troupe::jinja
