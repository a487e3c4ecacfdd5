#include "common/engine/hidden_pool.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Vector = std::vector<float>;

TEST(HiddenPool, TheMeanIsScaledToLengthOne) {
  HiddenPool pool(Pooling::mean, 2, 2);
  pool.take(0, Vector{1, 5});
  pool.take(1, Vector{5, 3});
  EXPECT_EQ(pool.vector(), (Vector{0.6F, 0.8F}));
}

TEST(HiddenPool, TheLastTokenStandsAlone) {
  HiddenPool pool(Pooling::last, 3, 2);
  EXPECT_FALSE(pool.wants(0));
  EXPECT_FALSE(pool.wants(1));
  EXPECT_TRUE(pool.wants(2));
  pool.take(0, Vector{100, 100});
  pool.take(2, Vector{3, 4});
  EXPECT_EQ(pool.vector(), (Vector{0.6F, 0.8F}));
}

TEST(HiddenPool, WhatIsComputedAgainCountsOnce) {
  HiddenPool once(Pooling::mean, 3, 2), again(Pooling::mean, 3, 2);
  const Vector states[] = {{1, 2}, {3, -4}, {0.5F, 7}};
  for (std::uint32_t i = 0; i < 3; ++i) once.take(i, states[i]);
  again.take(0, states[0]);
  again.take(1, states[1]);
  EXPECT_FALSE(again.wants(1));
  for (std::uint32_t i = 0; i < 3; ++i) again.take(i, states[i]);  // it gave way, and began anew
  EXPECT_EQ(again.vector(), once.vector());
}

TEST(HiddenPool, TheZeroVectorStays) {
  HiddenPool pool(Pooling::mean, 1, 3);
  pool.take(0, Vector{0, 0, 0});
  EXPECT_EQ(pool.vector(), (Vector{0, 0, 0}));
}

TEST(HiddenPool, ALongSumKeepsItsSmallParts) {
  constexpr std::uint32_t kTokens = 1u << 16;
  HiddenPool pool(Pooling::mean, kTokens, 2);
  for (std::uint32_t i = 0; i < kTokens; ++i) pool.take(i, Vector{i == 0 ? 16777216.0F : 1.0F, 0});
  EXPECT_EQ(pool.vector(), (Vector{1, 0}));
  HiddenPool other(Pooling::mean, kTokens, 2);
  for (std::uint32_t i = 0; i < kTokens; ++i) other.take(i, Vector{16777216.0F, i % 2 == 0 ? 1.0F : -0.5F});
  EXPECT_NEAR(other.vector()[1], 0.25 / 16777216.0, 1e-15);
}

}  // namespace
}  // namespace troupe::engine
