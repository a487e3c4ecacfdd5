#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <gtest/gtest.h>

#include "common/tensor/half.hpp"

namespace troupe {
namespace {

std::uint32_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

TEST(Half, EveryHalfSurvivesTheWayThroughFloat) {
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const float value = half_to_float(static_cast<std::uint16_t>(half));
    const bool nan = (half & 0x7FFF) > 0x7C00;
    EXPECT_EQ(std::isnan(value), nan);
    // A signalling NaN comes back quiet.
    EXPECT_EQ(float_to_half(value), nan ? (half | 0x200) : half) << half;
  }
}

TEST(Half, RoundsToNearestEvenAtTheEdges) {
  EXPECT_EQ(float_to_half(1.0F), 0x3C00);
  EXPECT_EQ(float_to_half(-2.0F), 0xC000);
  EXPECT_EQ(float_to_half(65504.0F), 0x7BFF);
  EXPECT_EQ(float_to_half(65519.996F), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F), 0x3C00);             // halfway, down to even
  EXPECT_EQ(float_to_half(1.0F + 3 * 0x1p-11F), 0x3C02);         // halfway, up to even
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F + 0x1p-20F), 0x3C01);  // just above halfway
  EXPECT_EQ(float_to_half(0x1p-24F), 0x0001);
  EXPECT_EQ(float_to_half(0x1p-25F), 0x0000);  // halfway to the least subnormal, to even
  EXPECT_EQ(float_to_half(std::nextafter(0x1p-25F, 1.0F)), 0x0001);
  EXPECT_EQ(float_to_half(0x1.FFFp-15F), 0x0400);  // the rounding makes a subnormal normal
  EXPECT_EQ(float_to_half(-0.0F), 0x8000);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0x0000);
}

TEST(Bf16, RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(float_to_bf16(1.0F), 0x3F80);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3F808000U)), 0x3F80);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3F818000U)), 0x3F82);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x7F7FFFFFU)), 0x7F80);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7F800001U)))));
  EXPECT_EQ(bits(bf16_to_float(0xC0A0)), 0xC0A00000U);
}

#if defined(__x86_64__)
__attribute__((target("f16c"))) std::uint16_t hardware_half(std::uint32_t value) {
  const __m128i out =
      _mm_cvtps_ph(_mm_castsi128_ps(_mm_set1_epi32(static_cast<int>(value))), _MM_FROUND_TO_NEAREST_INT);
  return static_cast<std::uint16_t>(_mm_extract_epi16(out, 0));
}
__attribute__((target("f16c"))) std::uint32_t hardware_float(std::uint16_t value) {
  const __m128 out = _mm_cvtph_ps(_mm_set1_epi16(static_cast<short>(value)));
  return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_castps_si128(out), 0));
}

TEST(Half, EqualsF16cOnEveryHalfAndAMillionFloats) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "this processor has no F16C";
  for (std::uint32_t half = 0; half < 65536; ++half)
    ASSERT_EQ(bits(half_to_float(static_cast<std::uint16_t>(half))),
              hardware_float(static_cast<std::uint16_t>(half)));
  // An odd stride visits every exponent and sign with unlike mantissas; the small steps sit on the halfway
  // points.
  for (std::uint64_t value = 0; value < 1ULL << 32; value += 4093)
    ASSERT_EQ(float_to_half(std::bit_cast<float>(static_cast<std::uint32_t>(value))),
              hardware_half(static_cast<std::uint32_t>(value)))
        << std::hex << value;
  for (std::uint64_t value = 0; value < 1ULL << 32; value += 4096)
    for (const std::uint64_t near : {value, value + 1, value - 1}) {
      const auto pattern = static_cast<std::uint32_t>(near);
      ASSERT_EQ(float_to_half(std::bit_cast<float>(pattern)), hardware_half(pattern)) << std::hex << pattern;
    }
}
#endif

}  // namespace
}  // namespace troupe
