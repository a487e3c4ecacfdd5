#include "common/grammar/json_numbers.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::grammar {
namespace {

constexpr std::uint64_t kMostWhole = 999'999'999'999'999;

Expr digits(Builder& b, char first, char last) {
  return first > last ? b.nothing()
                      : b.byte_range(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last));
}

/// Digit strings of one length between two of them; `at_low`, `at_high`: equal to that bound so far.
Expr same_length(Builder& b, const std::string& low, const std::string& high, std::size_t at, bool at_low,
                 bool at_high) {
  const std::size_t left = low.size() - at;
  if (left == 0) return b.empty();
  if (!at_low && !at_high)
    return b.repeat(digits(b, '0', '9'), static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(left));
  const char first = at_low ? low[at] : '0', last = at_high ? high[at] : '9';
  if (at_low && at_high && first == last)
    return b.sequence({digits(b, first, first), same_length(b, low, high, at + 1, true, true)});
  std::vector<Expr> options;
  if (at_low)
    options.push_back(b.sequence({digits(b, first, first), same_length(b, low, high, at + 1, true, false)}));
  if (at_high)
    options.push_back(b.sequence({digits(b, last, last), same_length(b, low, high, at + 1, false, true)}));
  const char inner_first = static_cast<char>(first + (at_low ? 1 : 0)),
             inner_last = static_cast<char>(last - (at_high ? 1 : 0));
  options.push_back(
      b.sequence({digits(b, inner_first, inner_last), same_length(b, low, high, at + 1, false, false)}));
  return b.choice(std::move(options));
}

Expr whole_between(Builder& b, std::uint64_t low, std::uint64_t high) {
  if (low > high) return b.nothing();
  std::vector<Expr> options;
  std::uint64_t least = 0, most = 9;  // of a length
  for (std::uint32_t length = 1; length <= kWholeDigits; ++length) {
    if (low <= most && high >= least)
      options.push_back(same_length(b, std::to_string(std::max(low, least)),
                                    std::to_string(std::min(high, most)), 0, true, true));
    least = most + 1;
    most = most * 10 + 9;
  }
  return b.choice(std::move(options));
}

/// A side of a fraction: its digits, and whether it must be passed.
struct Side {
  const std::string* digits = nullptr;  ///< none: no bound
  bool open = false;
};

/// What may follow `at` digits of a fraction; `at_low`, `at_high`: equal to that side so far.
Expr fraction_tail(Builder& b, const Side& low, const Side& high, std::size_t at, bool at_low, bool at_high) {
  const auto has = [at](const Side& side) { return at < side.digits->size(); };
  const bool low_done = !at_low || (!has(low) && !low.open);
  const bool high_done = !at_high || has(high) || !high.open;
  const Expr end = low_done && high_done && at > 0 ? b.empty() : b.nothing();
  if (at == kFractionDigits) return end;
  const auto left = static_cast<std::uint32_t>(kFractionDigits - at);
  if (!at_low && !at_high) return b.repeat(digits(b, '0', '9'), at == 0 ? 1 : 0, left);
  const char first = at_low && has(low) ? (*low.digits)[at] : '0';
  const char last = !at_high ? '9' : has(high) ? (*high.digits)[at] : '0';
  std::vector<Expr> options{end};
  const auto next = [&](char a, char z, bool still_low, bool still_high) {
    if (a <= z)
      options.push_back(
          b.sequence({digits(b, a, z), fraction_tail(b, low, high, at + 1, still_low, still_high)}));
  };
  if (at_low && at_high && first == last) {
    next(first, first, true, true);
  } else if (first < last || !(at_low && at_high)) {
    if (at_low) next(first, first, true, false);
    if (at_high) next(last, last, false, true);
    next(static_cast<char>(first + (at_low ? 1 : 0)), static_cast<char>(last - (at_high ? 1 : 0)), false,
         false);
  }
  return b.choice(std::move(options));
}

/// Nothing, or a point and digits, with 0.digits between the sides.
Expr fraction_between(Builder& b, const Side& low, const Side& high) {
  const bool zero_low = low.digits == nullptr || (low.digits->empty() && !low.open);
  const bool zero_high = high.digits == nullptr || !high.digits->empty() || !high.open;
  const Expr none = zero_low && zero_high ? b.empty() : b.nothing();
  const Expr some = fraction_tail(b, low, high, 0, low.digits != nullptr, high.digits != nullptr);
  return b.choice({none, b.sequence({b.literal("."), some})});
}

struct Magnitude {
  Decimal value;
  bool open = false;
};

/// Numbers from `low` on, up to `high` or to the largest there is.
Expr magnitudes(Builder& b, const Magnitude& low, const Magnitude& high, bool fractions) {
  const std::uint64_t a = low.value.whole, z = high.value.whole;
  if (a > z) return b.nothing();
  if (!fractions) {
    const std::uint64_t first = a + (low.open || !low.value.fraction.empty() ? 1 : 0);
    if (high.open && high.value.fraction.empty())
      return z == 0 ? b.nothing() : whole_between(b, first, z - 1);
    return whole_between(b, first, z);
  }
  const Side above{&low.value.fraction, low.open}, below{&high.value.fraction, high.open};
  if (a == z) return b.sequence({whole_between(b, a, a), fraction_between(b, above, below)});
  std::vector<Expr> options{b.sequence({whole_between(b, a, a), fraction_between(b, above, {})}),
                            b.sequence({whole_between(b, z, z), fraction_between(b, {}, below)})};
  if (z - a > 1) options.push_back(b.sequence({whole_between(b, a + 1, z - 1), fraction_between(b, {}, {})}));
  return b.choice(std::move(options));
}

Expr between(Builder& b, const std::optional<NumberBound>& low, const std::optional<NumberBound>& high,
             bool fractions) {
  const Magnitude largest{{false, kMostWhole, {}}, false};
  std::vector<Expr> options;
  if (!high || !high->value.negative || high->value.is_zero()) {  // from zero on
    const bool above_zero = low && !low->value.negative;
    options.push_back(magnitudes(b, above_zero ? Magnitude{low->value, low->open} : Magnitude{},
                                 high ? Magnitude{high->value, high->open} : largest, fractions));
  }
  if (!low || (low->value.negative && !low->value.is_zero())) {  // below zero, away from it
    const bool below_zero = high && high->value.negative && !high->value.is_zero();
    options.push_back(b.sequence(
        {b.literal("-"), magnitudes(b, below_zero ? Magnitude{high->value, high->open} : Magnitude{{}, true},
                                    low ? Magnitude{low->value, low->open} : largest, fractions)}));
  }
  return b.choice(std::move(options));
}

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal out;
  out.negative = text.starts_with('-');
  if (out.negative) text.remove_prefix(1);
  const std::size_t e = std::min(text.find_first_of("eE"), text.size());
  int exponent = 0;
  if (e < text.size()) {
    const std::size_t sign = text.substr(e + 1).starts_with('+') ? 2 : 1;
    const auto [end, error] = std::from_chars(text.data() + e + sign, text.data() + text.size(), exponent);
    if (error != std::errc() || end != text.data() + text.size() || exponent < -64 || exponent > 64)
      return std::nullopt;
  }
  const std::string_view mantissa = text.substr(0, e);
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  std::string all(mantissa.substr(0, point));
  if (point < mantissa.size()) all += mantissa.substr(point + 1);
  auto place = static_cast<std::ptrdiff_t>(point) + exponent;  // of the point, in digits
  if (place < 0) all.insert(0, static_cast<std::size_t>(-place), '0'), place = 0;
  const auto wholes = static_cast<std::size_t>(place);
  if (wholes > all.size()) all.append(wholes - all.size(), '0');
  out.fraction = all.substr(wholes);
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  std::string whole = all.substr(0, wholes);
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  if (whole.size() > kWholeDigits || out.fraction.size() > kFractionDigits) return std::nullopt;
  if (!whole.empty()) std::from_chars(whole.data(), whole.data() + whole.size(), out.whole);
  return out;
}

Expr integers_between(Builder& builder, const std::optional<NumberBound>& low,
                      const std::optional<NumberBound>& high) {
  return between(builder, low, high, false);
}

Expr numbers_between(Builder& builder, const std::optional<NumberBound>& low,
                     const std::optional<NumberBound>& high) {
  return between(builder, low, high, true);
}

}  // namespace troupe::grammar
