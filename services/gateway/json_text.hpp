#pragma once
// JSON text written directly: a stream sends thousands of small events a second, each of a shape known in
// advance.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::gateway {

/// Appends `text` with JSON's escapes, without quotes. `text` must be UTF-8.
void append_escaped(std::string& out, std::string_view text);
/// The same in quotes.
void append_quoted(std::string& out, std::string_view text);
void append_number(std::string& out, std::uint64_t value);
/// A log-probability; minus infinity, which JSON cannot say, becomes -9999 as OpenAI writes it.
void append_logprob(std::string& out, float value);
/// The shortest text that reads back as this number, which is finite.
void append_real(std::string& out, double value);
/// [240,159,152,128]
void append_byte_array(std::string& out, std::string_view bytes);

/// Offset of the first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates).
[[nodiscard]] std::optional<std::size_t> invalid_utf8_at(std::string_view text);
/// Code points of well-formed UTF-8.
[[nodiscard]] std::size_t count_characters(std::string_view text);

}  // namespace troupe::gateway
