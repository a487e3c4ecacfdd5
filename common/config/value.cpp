#include "common/config/value.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace troupe {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: formatting takes the first that divides. Decimal units are read but never written.
constexpr std::array<Unit, 5> kBinaryUnits{
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};
constexpr std::array<Unit, 4> kDecimalUnits{
    {{"kB", 1'000}, {"MB", 1'000'000}, {"GB", 1'000'000'000}, {"TB", 1'000'000'000'000}}};
constexpr std::array<Unit, 6> kTimeUnits{{{"h", 3'600'000'000'000},
                                          {"min", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}}};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

tl::unexpected<Error> found(std::string_view text, std::string_view expected) {
  constexpr std::size_t kShown = 80;
  std::string shown(text.substr(0, kShown));
  if (text.size() > kShown) shown += "...";
  return fail(Errc::config_invalid, "found \"" + shown + "\", expected " + std::string(expected));
}

template <class Number>
bool parse_whole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Splits "1.5GiB" into its number and its unit; false when it does not start with digits.
bool split_number(std::string_view text, std::string_view& number, std::string_view& unit) {
  const std::size_t end = text.find_first_not_of("0123456789.");
  number = text.substr(0, end);
  unit = end == std::string_view::npos ? std::string_view{} : trim(text.substr(end));
  return !number.empty() && number.front() != '.';
}

/// number * factor as an integer, exact for whole numbers; false when it is malformed, over `limit` or not
/// whole.
bool scale(std::string_view number, std::uint64_t factor, std::uint64_t limit, std::uint64_t& out) {
  std::uint64_t whole = 0;
  if (parse_whole(number, whole)) {
    if (whole > limit / factor) return false;
    out = whole * factor;
    return true;
  }
  double fraction = 0;
  if (!parse_whole(number, fraction)) return false;
  const double scaled = std::round(fraction * static_cast<double>(factor));
  if (!(scaled >= 0) || scaled >= static_cast<double>(limit)) return false;
  out = static_cast<std::uint64_t>(scaled);
  return true;
}

const Unit* find_unit(std::span<const Unit> units, std::string_view wanted) {
  for (const Unit& unit : units)
    if (unit.name == wanted) return &unit;
  return nullptr;
}

std::string format_scaled(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units)
    if (value % unit.factor == 0) return std::to_string(value / unit.factor) + std::string(unit.name);
  return std::to_string(value);
}

Expected<Value> parse_boolean(std::string_view text) {
  for (const std::string_view yes : {"true", "yes", "on", "1"})
    if (text == yes) return Value(true);
  for (const std::string_view no : {"false", "no", "off", "0"})
    if (text == no) return Value(false);
  return found(text, "true or false");
}

Expected<Value> parse_choice(std::string_view text, std::span<const std::string_view> choices) {
  std::string known;
  for (const std::string_view choice : choices) {
    if (text == choice) return Value(std::string(text));
    known.append(known.empty() ? "" : "|").append(choice);
  }
  return found(text, "one of " + known);
}

TextList split_list(std::string_view text) {
  TextList list;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    if (!item.empty()) list.emplace_back(item);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return list;
}

}  // namespace

std::string_view name(OptionType type) {
  constexpr std::array<std::string_view, 8> kNames{"boolean", "integer",  "real",   "text",
                                                   "bytes",   "duration", "choice", "list"};
  return kNames[static_cast<std::size_t>(type)];
}

Expected<ByteCount> parse_bytes(std::string_view text) {
  std::string_view number;
  std::string_view unit_name;
  if (split_number(text, number, unit_name)) {
    const Unit* unit = find_unit(kBinaryUnits, unit_name.empty() ? "B" : unit_name);
    if (unit == nullptr) unit = find_unit(kDecimalUnits, unit_name);
    std::uint64_t bytes = 0;
    if (unit != nullptr && scale(number, unit->factor, std::numeric_limits<std::int64_t>::max(), bytes))
      return ByteCount{bytes};
  }
  return found(text, "a size such as 512MiB or 2GiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)");
}

Expected<Duration> parse_duration(std::string_view text) {
  std::string_view number;
  std::string_view unit_name;
  if (text == "0") return Duration::zero();
  if (split_number(text, number, unit_name)) {
    const Unit* unit = find_unit(kTimeUnits, unit_name);
    std::uint64_t nanoseconds = 0;
    if (unit != nullptr && scale(number, unit->factor, std::numeric_limits<std::int64_t>::max(), nanoseconds))
      return Duration(static_cast<std::int64_t>(nanoseconds));
  }
  return found(text, "a time with its unit such as 500ms, 30s or 10min (ns, us, ms, s, min, h)");
}

std::string format_bytes(ByteCount bytes) {
  return bytes.value == 0 ? "0" : format_scaled(bytes.value, kBinaryUnits);
}

std::string format_duration(Duration duration) {
  if (duration <= Duration::zero()) return "0";
  return format_scaled(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

Expected<Value> parse_value(OptionType type, std::string_view raw,
                            std::span<const std::string_view> choices) {
  const std::string_view text = trim(raw);
  switch (type) {
    case OptionType::boolean:
      return parse_boolean(text);
    case OptionType::integer: {
      std::int64_t number = 0;
      if (!parse_whole(text, number)) return found(text, "a whole number");
      return Value(number);
    }
    case OptionType::real: {
      double number = 0;
      if (!parse_whole(text, number) || !std::isfinite(number)) return found(text, "a finite number");
      return Value(number);
    }
    case OptionType::text:
      return Value(std::string(text));
    case OptionType::bytes: {
      auto bytes = parse_bytes(text);
      if (!bytes) return tl::unexpected<Error>(std::move(bytes.error()));
      return Value(*bytes);
    }
    case OptionType::duration: {
      auto duration = parse_duration(text);
      if (!duration) return tl::unexpected<Error>(std::move(duration.error()));
      return Value(*duration);
    }
    case OptionType::choice:
      return parse_choice(text, choices);
    case OptionType::text_list:
      return Value(split_list(text));
  }
  return fail(Errc::internal, "an option type without a parser");
}

std::string format_value(const Value& value) {
  struct Formatter {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const {
      std::array<char, 64> buffer{};
      const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
      return {buffer.data(), result.ptr};
    }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(ByteCount bytes) const { return format_bytes(bytes); }
    std::string operator()(Duration duration) const { return format_duration(duration); }
    std::string operator()(const TextList& list) const {
      std::string joined;
      for (const std::string& item : list) joined.append(joined.empty() ? "" : ",").append(item);
      return joined;
    }
  };
  return std::visit(Formatter{}, value);
}

int compare_values(const Value& a, const Value& b) {
  if (a.index() != b.index()) return 0;
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  if (const auto* x = std::get_if<std::int64_t>(&a)) return order(*x, std::get<std::int64_t>(b));
  if (const auto* x = std::get_if<double>(&a)) return order(*x, std::get<double>(b));
  if (const auto* x = std::get_if<ByteCount>(&a)) return order(*x, std::get<ByteCount>(b));
  if (const auto* x = std::get_if<Duration>(&a)) return order(*x, std::get<Duration>(b));
  return 0;
}

}  // namespace troupe
