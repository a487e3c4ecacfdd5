#include "common/backend/cpu/rope_math.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace troupe::backend::cpu {
namespace {

// ln 2 and pi / 2 in parts: the high ones are short, so that a count times them is exact.
constexpr double kLn2High = 0x1.62e42fefa0000p-1;
constexpr double kLn2Low = 0x1.cf79abc9e3b3ap-40;
constexpr double kHalfPi1 = 0x1.921fb54400000p+0;
constexpr double kHalfPi2 = 0x1.0b4611a600000p-34;
constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;
constexpr double kRoundBias = 0x1.8p52;

double round_to_integer(double x) { return (x + kRoundBias) - kRoundBias; }

/// sin r for |r| <= pi / 4: Taylor to r^17.
double small_sine(double r) {
  const double z = r * r;
  double p = 1.0 / 355687428096000.0;
  p = p * z - 1.0 / 1307674368000.0;
  p = p * z + 1.0 / 6227020800.0;
  p = p * z - 1.0 / 39916800.0;
  p = p * z + 1.0 / 362880.0;
  p = p * z - 1.0 / 5040.0;
  p = p * z + 1.0 / 120.0;
  p = p * z - 1.0 / 6.0;
  return r + r * z * p;
}

/// cos r for |r| <= pi / 4: Taylor to r^16.
double small_cosine(double r) {
  const double z = r * r;
  double p = 1.0 / 20922789888000.0;
  p = p * z - 1.0 / 87178291200.0;
  p = p * z + 1.0 / 479001600.0;
  p = p * z - 1.0 / 3628800.0;
  p = p * z + 1.0 / 40320.0;
  p = p * z - 1.0 / 720.0;
  p = p * z + 1.0 / 24.0;
  return (1.0 - 0.5 * z) + z * z * p;
}

}  // namespace

double exact_exp(double x) {
  const double n = round_to_integer(x * 0x1.71547652b82fep+0);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 6227020800.0;  // Taylor to r^13 / 13!
  for (const double factor : {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0})
    p = p * r + 1.0 / factor;
  p = (p * r + 1.0) * r + 1.0;
  // 2^n in two factors: n reaches 1010 either way.
  const auto whole = static_cast<std::int64_t>(n);
  const std::int64_t half = whole / 2;
  const auto power = [](std::int64_t e) { return std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52); };
  return p * power(half) * power(whole - half);
}

double exact_log(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52 & 0x7ff) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);  // log m = 2 atanh s, |s| <= 0.172
  const double z = s * s;
  double p = 1.0 / 23.0;
  for (double odd = 21.0; odd >= 3.0; odd -= 2.0) p = p * z + 1.0 / odd;
  const auto e = static_cast<double>(exponent);
  return e * kLn2High + (e * kLn2Low + (2.0 * s + 2.0 * s * z * p));
}

SineCosine exact_sine_cosine(double angle) {
  const double n = round_to_integer(angle * 0x1.45f306dc9c883p-1);
  double r = std::fma(-n, kHalfPi1, angle);
  r = std::fma(-n, kHalfPi2, r);
  r = std::fma(-n, kHalfPi3, r);
  const double sine = small_sine(r);
  const double cosine = small_cosine(r);
  switch (static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) & 3U) {
    case 0: return {sine, cosine};
    case 1: return {cosine, -sine};
    case 2: return {-sine, -cosine};
    default: return {-cosine, sine};
  }
}

double rope_frequency(double base, unsigned pair, unsigned dims) {
  return exact_exp(-(2.0 * pair / dims) * exact_log(base));
}

}  // namespace troupe::backend::cpu
