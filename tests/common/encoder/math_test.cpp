#include "common/encoder/math.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace troupe::encoder {
namespace {

std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(random() >> 40) / 8388608.0F - 1.0F;
  return out;
}

TEST(EncoderMath, TheErrorFunctionIsThatOfTheLibrary) {
  for (int i = -80000; i <= 80000; ++i) {
    const double x = i / 10000.0;
    ASSERT_NEAR(erf(x), std::erf(x), 1e-12) << x;
  }
  EXPECT_EQ(erf(0.0), 0.0);
  EXPECT_EQ(erf(100.0), 1.0);
  EXPECT_EQ(erf(-100.0), -1.0);
}

TEST(EncoderMath, GeluIsTheExactOne) {
  std::vector<float> values{-3, -1, 0, 0.5F, 2};
  gelu(values);
  EXPECT_FLOAT_EQ(values[0], -0.0040496940F);
  EXPECT_FLOAT_EQ(values[1], -0.15865525F);
  EXPECT_EQ(values[2], 0.0F);
  EXPECT_FLOAT_EQ(values[3], 0.34573123F);
  EXPECT_FLOAT_EQ(values[4], 1.9544997F);
}

TEST(EncoderMath, RowsAreNormalisedOneByOne) {
  std::vector<float> rows{1, 2, 3, 4, 10, 10, 10, 10};
  const std::vector<float> weight{1, 1, 2, 1}, bias{0, 0.5F, 0, 0};
  layer_norm(rows, weight, bias, 1e-12F);
  const float unit = static_cast<float>(1 / std::sqrt(1.25));
  EXPECT_FLOAT_EQ(rows[0], -1.5F * unit);
  EXPECT_FLOAT_EQ(rows[1], -0.5F * unit + 0.5F);
  EXPECT_FLOAT_EQ(rows[2], 2 * 0.5F * unit);
  EXPECT_FLOAT_EQ(rows[3], 1.5F * unit);
  EXPECT_EQ(rows[4], 0.0F);
  EXPECT_EQ(rows[5], 0.5F);
}

TEST(EncoderMath, AttentionSeesBothWaysAndIsThatOfItsFormula) {
  constexpr std::uint32_t kHeads = 2, kWidth = 5, kTokens = 7, kRow = kHeads * kWidth;
  const auto q = numbers(kTokens * kRow, 1), k = numbers(kTokens * kRow, 2), v = numbers(kTokens * kRow, 3);
  std::vector<float> out(kTokens * kRow);
  attend(q, k, v, kHeads, kWidth, out);
  for (std::uint32_t head = 0; head < kHeads; ++head) {
    for (std::uint32_t token = 0; token < kTokens; ++token) {
      std::vector<double> weights(kTokens);
      double sum = 0;
      for (std::uint32_t other = 0; other < kTokens; ++other) {
        double score = 0;
        for (std::uint32_t i = 0; i < kWidth; ++i)
          score += double{q[token * kRow + head * kWidth + i]} * double{k[other * kRow + head * kWidth + i]};
        sum += weights[other] = std::exp(score / std::sqrt(double{kWidth}));
      }
      for (std::uint32_t i = 0; i < kWidth; ++i) {
        double expected = 0;
        for (std::uint32_t other = 0; other < kTokens; ++other)
          expected += weights[other] / sum * double{v[other * kRow + head * kWidth + i]};
        EXPECT_NEAR(out[token * kRow + head * kWidth + i], expected, 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::encoder
