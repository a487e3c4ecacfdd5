#pragma once
// Numbers between bounds, as texts.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/grammar/builder.hpp"

namespace troupe::grammar {

/// An exact decimal: (-1)^negative * (whole + 0.fraction); `fraction` has no zeros at its end.
struct Decimal {
  bool negative = false;
  std::uint64_t whole = 0;
  std::string fraction;
  [[nodiscard]] bool is_zero() const { return whole == 0 && fraction.empty(); }
};

/// Whole numbers and fractions go up to here, in digits.
inline constexpr std::uint32_t kWholeDigits = 15, kFractionDigits = 16;

/// Reads a JSON number. nullopt: it has too many digits.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view text);

struct NumberBound {
  Decimal value;
  bool open = false;  ///< the value itself is outside
};

/// Whole numbers within the bounds, without sign of zero or leading zeros; nothing() when there is none.
[[nodiscard]] Expr integers_between(Builder& builder, const std::optional<NumberBound>& low,
                                    const std::optional<NumberBound>& high);
/// Numbers within the bounds, with or without a fraction, never with an exponent.
[[nodiscard]] Expr numbers_between(Builder& builder, const std::optional<NumberBound>& low,
                                   const std::optional<NumberBound>& high);

}  // namespace troupe::grammar
