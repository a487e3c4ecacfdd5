#pragma once
// exp and log of a double from additions, multiplications and one division in a fixed order: no libm and no fused
// multiply-add, so every machine gets the same bits. Errors stay under 2e-15 relative, far below what a draw can see.
#include <bit>
#include <cstdint>

namespace troupe::exact {

/// e^x. 0 below -708, infinity above 709; straight-line, so loops over it vectorise without changing a bit.
[[nodiscard]] inline double exp(double x) {
  constexpr double kLog2e = 1.4426950408889634074;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
  const double bounded = x < -709.0 ? -709.0 : (x > 709.5 ? 709.5 : x);
  const double shifted = bounded * kLog2e + kRound;
  const double k = shifted - kRound;
  const double r = (bounded - k * kLn2High) - k * kLn2Low;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const std::uint64_t exponent = (std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52U;
  const double value = p * std::bit_cast<double>(exponent);
  return x < -708.0 ? 0.0 : (x > 709.0 ? std::bit_cast<double>(0x7FF0000000000000ULL) : value);
}

/// Natural logarithm of a positive normal number.
[[nodiscard]] inline double log(double x) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDULL;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t from_sqrt_half = bits - kSqrtHalf;  // its exponent field is that of x / sqrt(1/2)
  const std::int64_t exponent = static_cast<std::int64_t>(from_sqrt_half) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(exponent) << 52U));  // [sqrt(1/2), sqrt(2))
  const double t = (m - 1.0) / (m + 1.0);
  const double t2 = t * t;
  double p = 2.0 / 23.0;
  p = p * t2 + 2.0 / 21.0;
  p = p * t2 + 2.0 / 19.0;
  p = p * t2 + 2.0 / 17.0;
  p = p * t2 + 2.0 / 15.0;
  p = p * t2 + 2.0 / 13.0;
  p = p * t2 + 2.0 / 11.0;
  p = p * t2 + 2.0 / 9.0;
  p = p * t2 + 2.0 / 7.0;
  p = p * t2 + 2.0 / 5.0;
  p = p * t2 + 2.0 / 3.0;
  p = p * t2 + 2.0;
  const double e = static_cast<double>(exponent);
  return e * kLn2High + (t * p + e * kLn2Low);
}

}  // namespace troupe::exact
