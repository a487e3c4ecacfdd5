#pragma once
// IEEE half and bfloat16 in portable code, bit for bit what F16C computes (round to nearest even, subnormals
// kept, NaN made quiet with the top of its payload), so that every machine stores the same KV bits.
#include <bit>
#include <cstdint>

namespace troupe {

[[nodiscard]] constexpr std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U)  // NaN
    return static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x1FFU));
  if (magnitude >= 0x477FF000U)  // from halfway between the largest half, 65504, and 65536
    return static_cast<std::uint16_t>(sign | 0x7C00U);
  std::uint32_t mantissa = 0;  // the half's bits, unrounded, above `shift` bits still to round away
  int shift = 13;
  if (magnitude >= 0x38800000U) {  // 2^-14: a normal half
    mantissa = magnitude -
               ((127U - 15U) << 23);  // rebias; a carry out of the rounding moves the exponent up by itself
  } else {
    const int exponent = static_cast<int>(magnitude >> 23);
    if (exponent < 102) return static_cast<std::uint16_t>(sign);  // below half of the least subnormal, 2^-25
    mantissa = (magnitude & 0x7FFFFFU) | 0x800000U;
    shift = 126 - exponent;
  }
  const std::uint32_t kept = mantissa >> shift;
  const std::uint32_t rest = mantissa & ((1U << shift) - 1U);
  const std::uint32_t half_way = 1U << (shift - 1);
  const std::uint32_t up = (rest > half_way || (rest == half_way && (kept & 1U) != 0)) ? 1U : 0U;
  return static_cast<std::uint16_t>(sign | (kept + up));
}

[[nodiscard]] constexpr float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa != 0 ? 0x400000U : 0U;
    return std::bit_cast<float>(sign | 0x7F800000U | quiet | (mantissa << 13));
  }
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
  // Zero or subnormal: mantissa * 2^-24 is exact in a float.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

[[nodiscard]] constexpr std::uint16_t float_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

[[nodiscard]] constexpr float bf16_to_float(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

}  // namespace troupe
