#pragma once
// Strings as Python sees them, over UTF-8 bytes: code points, case, white space, quoting, number spelling. Bytes that are not UTF-8 count as one
// code point each and survive unchanged.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

/// The parts, one after the other.
[[nodiscard]] std::string say(std::initializer_list<std::string_view> parts);

[[nodiscard]] char32_t next_point(std::string_view bytes, std::size_t& at);  ///< requires at < bytes.size()
void append_point(std::string& out, char32_t point);
[[nodiscard]] std::u32string to_points(std::string_view bytes);
[[nodiscard]] std::string from_points(std::u32string_view points);
[[nodiscard]] bool is_ascii(std::string_view bytes);
[[nodiscard]] std::size_t count_points(std::string_view bytes);
/// Byte offset of code point `index`, or the size when there are fewer.
[[nodiscard]] std::size_t offset_of_point(std::string_view bytes, std::size_t index);

[[nodiscard]] bool is_space(char32_t point);
[[nodiscard]] bool is_alpha(char32_t point);
[[nodiscard]] bool is_digit(char32_t point);
[[nodiscard]] bool is_upper(char32_t point);
[[nodiscard]] bool is_lower(char32_t point);
[[nodiscard]] bool is_printable(char32_t point);

[[nodiscard]] std::string upper(std::string_view bytes);
[[nodiscard]] std::string lower(std::string_view bytes);
[[nodiscard]] std::string capitalize(std::string_view bytes);
[[nodiscard]] std::string swap_case(std::string_view bytes);
[[nodiscard]] std::string title_method(std::string_view bytes);  ///< str.title(): a capital after every non-letter
[[nodiscard]] std::string title_filter(std::string_view bytes);  ///< the filter: a capital after white space and -({[<

/// As string_view's find and rfind, but never worse than linear.
[[nodiscard]] std::size_t find_bytes(std::string_view bytes, std::string_view wanted, std::size_t from);
[[nodiscard]] std::size_t rfind_bytes(std::string_view bytes, std::string_view wanted);

/// Without `chars`, white space goes.
[[nodiscard]] std::string_view strip(std::string_view bytes, const std::optional<std::string>& chars, bool left, bool right);
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view bytes, bool keep_ends);
[[nodiscard]] std::string escape_html(std::string_view bytes);
[[nodiscard]] std::string quote_repr(std::string_view bytes);    ///< repr() of a str
[[nodiscard]] std::string float_repr(double value);              ///< repr() of a float
/// int(text, base) and float(text); nullopt where Python raises ValueError, and for integers beyond 64 bits.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view bytes, int base);
[[nodiscard]] std::optional<double> parse_float(std::string_view bytes);

}  // namespace troupe::jinja
