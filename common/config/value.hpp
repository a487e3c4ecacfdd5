#pragma once
// The types an option can have, and their spelling: one text form for flags, environment, YAML and dumps.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"

namespace troupe {

enum class OptionType : std::uint8_t { boolean, integer, real, text, bytes, duration, choice, text_list };

struct ByteCount {
  std::uint64_t value = 0;
  auto operator<=>(const ByteCount&) const = default;
};

using TextList = std::vector<std::string>;
/// In the order of OptionType; a choice is a string.
using Value = std::variant<bool, std::int64_t, double, std::string, ByteCount, Duration, TextList>;

[[nodiscard]] std::string_view name(OptionType type);

/// Reads one value. boolean: true|false|yes|no|on|off|1|0. bytes: a number with B, KiB, MiB, GiB, TiB or kB,
/// MB, GB, TB (none: bytes). duration: a number with ns, us, ms, s, min, h (only 0 may go without).
/// text_list: split at commas. choice: one of `choices`. Errors: config_invalid with what was found and
/// expected.
[[nodiscard]] Expected<Value> parse_value(OptionType type, std::string_view text,
                                          std::span<const std::string_view> choices = {});

/// The inverse of parse_value: "2GiB", "500ms", "a,b".
[[nodiscard]] std::string format_value(const Value& value);

[[nodiscard]] Expected<ByteCount> parse_bytes(std::string_view text);
[[nodiscard]] Expected<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string format_bytes(ByteCount bytes);
[[nodiscard]] std::string format_duration(Duration duration);

/// -1, 0 or 1 for numbers, bytes and durations of the same type; 0 for what has no order.
[[nodiscard]] int compare_values(const Value& a, const Value& b);

}  // namespace troupe
