// Filters that give numbers.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

constexpr double kWholeLimit = 9.2e18;

Value filter_abs(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is<double>()) return Value(std::abs(input.as<double>()));
  if (!input.is_whole()) machine.fail(say({"bad operand type for abs(): '", type_name(input), "'"}));
  return input.whole() < 0 ? apply(machine, Operator::sub, Value(std::int64_t{0}), input) : Value(input.whole());
}

std::optional<double> to_real(Machine& machine, const Value& input) {
  if (input.is_undefined()) machine.fail(input.as<Undefined>().reason ? *input.as<Undefined>().reason : "the value is undefined");
  if (input.is_number()) return input.real();
  return input.is_text() ? parse_float(input.bytes()) : std::nullopt;
}

Value filter_int(Machine& machine, const Value& input, Args& args) {
  const auto [otherwise, base] = bind(machine, args, {"default", "base"});
  if (input.is_whole()) return Value(input.whole());
  if (input.is_text()) {
    const std::int64_t radix = base != nullptr ? whole_number(machine, *base) : 10;
    if (const auto whole = parse_integer(input.bytes(), radix >= 0 && radix <= 36 ? static_cast<int>(radix) : 1)) return Value(*whole);
  }
  const auto real = to_real(machine, input);
  if (real && std::abs(*real) < kWholeLimit) return Value(static_cast<std::int64_t>(*real));
  if (real && std::isfinite(*real)) machine.fail("an integer grew over 64 bits");
  return otherwise != nullptr ? *otherwise : Value(std::int64_t{0});
}

Value filter_float(Machine& machine, const Value& input, Args& args) {
  const auto [otherwise] = bind(machine, args, {"default"});
  if (const auto real = to_real(machine, input)) return Value(*real);
  return otherwise != nullptr ? *otherwise : Value(0.0);
}

/// round(): to the nearest decimal of the exact binary value, halves to even, as printf does.
double round_real(double value, std::int64_t precision) {
  if (!std::isfinite(value) || precision > 323) return value;
  if (precision < -308) return 0.0;
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  std::array<char, 800> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", static_cast<int>(precision), value);
  return std::strtod(buffer.data(), nullptr);
}

std::int64_t round_whole(std::int64_t value, std::int64_t precision) {
  if (precision >= 0) return value;
  if (precision < -18) return 0;
  std::int64_t unit = 1;
  for (std::int64_t i = precision; i < 0; ++i) unit *= 10;
  const std::int64_t rest = ((value % unit) + unit) % unit, low = value - rest;
  const bool up = rest > unit / 2 || (rest == unit / 2 && (low / unit) % 2 != 0);
  return up ? low + unit : low;
}

Value filter_round(Machine& machine, const Value& input, Args& args) {
  const auto [places, how] = bind(machine, args, {"precision", "method"});
  const std::int64_t precision = places != nullptr ? whole_number(machine, *places) : 0;
  const std::string method = how != nullptr ? text_of(machine, *how) : "common";
  if (method != "common" && method != "ceil" && method != "floor") machine.fail("method must be common, ceil or floor");
  if (!input.is_number()) machine.fail(say({"type ", type_name(input), " cannot be rounded"}));
  if (method == "common") return input.is_whole() ? Value(round_whole(input.whole(), precision)) : Value(round_real(input.real(), precision));
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.real() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_length(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  const auto size = [](std::size_t count) { return Value(static_cast<std::int64_t>(count)); };
  if (input.is_undefined()) return size(0);
  if (input.is_text()) {
    machine.step(input.bytes().size() / 64);
    return size(count_points(input.bytes()));
  }
  if (input.is_dict()) return size(input.as<DictPtr>()->entries.size());
  if (input.is_list() && input.as<ListPtr>()->kind != ListKind::iterator) return size(input.as<ListPtr>()->items.size());
  if (input.is<LoopPtr>()) return Value(input.as<LoopPtr>()->length());
  machine.fail(say({"object of type '", type_name(input), "' has no len()"}));
}

Value filter_wordcount(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  const TextPtr text = soft_text(machine, input);
  machine.step(text->bytes.size() / 64);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text->bytes.size();) {
    const char32_t point = next_point(text->bytes, at);
    const bool word = is_alpha(point) || is_digit(point) || point == '_';
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value(words);
}

Value filter_sum(Machine& machine, const Value& input, Args& args) {
  const auto [attribute, start] = bind(machine, args, {"attribute", "start"});
  Value total = start != nullptr ? *start : Value(std::int64_t{0});
  if (total.is_text()) machine.fail("sum() can't sum strings");
  for (const Value& item : machine.items(input)) {
    total = apply(machine, Operator::add, total, given(attribute) ? get_path(machine, item, *attribute) : item);
  }
  return total;
}

}  // namespace

const std::vector<FilterRow>& number_filters() {
  static const std::vector<FilterRow> kRows = {{"abs", filter_abs}, {"int", filter_int}, {"float", filter_float}, {"round", filter_round},
      {"length", filter_length}, {"count", filter_length}, {"wordcount", filter_wordcount}, {"sum", filter_sum}};
  return kRows;
}

}  // namespace troupe::jinja
