#include "common/sampling/philox.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "common/sampling/exact_math.hpp"

namespace troupe {
namespace {

TEST(Philox, EqualsTheVectorsOfRandom123) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32_10({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SixteenBlocksAtOnceEqualSingleWords) {
  const DrawKey key{.seed = 0x123456789abcdef0, .position = 0x1'0000'0007, .choice = 3, .purpose = DrawPurpose::draft};
  for (const std::uint32_t first : {0U, 64U, 262080U}) {
    std::uint32_t words[64];
    draw_words(key, first, words);
    for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(words[i], draw_word(key, static_cast<TokenId>(first + i)));
  }
}

TEST(Philox, EveryPartOfTheKeyChangesTheDraw) {
  std::set<double> draws;
  draws.insert(uniform_draw(1, 0, 0, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(2, 0, 0, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(std::uint64_t{1} << 40U, 0, 0, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(1, 1, 0, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(1, 0, 1, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(1, 0, std::uint64_t{1} << 40U, DrawPurpose::sample, 0));
  draws.insert(uniform_draw(1, 0, 0, DrawPurpose::draft, 0));
  draws.insert(uniform_draw(1, 0, 0, DrawPurpose::accept, 0));
  draws.insert(uniform_draw(1, 0, 0, DrawPurpose::sample, 1));
  draws.insert(uniform_draw(1, 0, 0, DrawPurpose::sample, 4));
  EXPECT_EQ(draws.size(), 10U);
}

TEST(Philox, UniformDrawsStayInsideTheOpenInterval) {
  EXPECT_GT(uniform_of(0), 0.0);
  EXPECT_LT(uniform_of(0xffffffff), 1.0);
  EXPECT_LE(gumbel_of(0xffffffff), kMostGumbel);
  EXPECT_GE(gumbel_of(0), -3.15);
}

TEST(ExactMath, AgreesWithLibmToTheLastDigits) {
  for (int i = -70800; i <= 70900; i += 37) {
    const double x = i * 0.01 + 0.00317;
    if (x < -708.0 || x > 709.0) continue;
    EXPECT_NEAR(exact::exp(x) / std::exp(x), 1.0, 4e-15) << x;
  }
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    EXPECT_NEAR(exact::log(x), std::log(x), 4e-16 * std::max(1.0, std::fabs(std::log(x)))) << x;
  }
  EXPECT_EQ(exact::exp(0.0), 1.0);
  EXPECT_EQ(exact::log(1.0), 0.0);
  EXPECT_EQ(exact::exp(-1000.0), 0.0);
  EXPECT_EQ(exact::exp(-std::numeric_limits<double>::infinity()), 0.0);
}

TEST(ExactMath, GivesTheSameBitsOnEveryMachine) {
  // Written by this code; a machine or compiler that rounds differently fails here.
  std::uint64_t mix = 0;
  for (std::uint32_t word = 1; word != 0 && word < 0xff000000; word += 0x00fedcba) {
    mix = mix * 0x9E3779B97F4A7C15ULL + std::bit_cast<std::uint64_t>(gumbel_of(word));
    mix = mix * 0x9E3779B97F4A7C15ULL + std::bit_cast<std::uint64_t>(exact::exp(-uniform_of(word) * 40.0));
  }
  EXPECT_EQ(mix, 0xf5083c7167aaf502ULL) << std::hex << mix;
}

}  // namespace
}  // namespace troupe
