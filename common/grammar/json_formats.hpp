#pragma once
// JSON Schema's `format` as regular expressions: a part of what each format allows that every validator
// accepts.
#include <string>
#include <string_view>

namespace troupe::grammar {

/// nullptr: not known.
[[nodiscard]] const char* find_format(std::string_view name);
/// "date, date-time, ..."
[[nodiscard]] std::string known_formats();

}  // namespace troupe::grammar
