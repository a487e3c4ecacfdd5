#include "services/gateway/rate_bucket.hpp"

#include <gtest/gtest.h>

#include <random>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

TEST(RateBucket, HoldsAMinutesWorthAndFillsEvenly) {
  RateBucket bucket(60, kStart);
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(bucket.take(1, kStart)) << i;
  EXPECT_FALSE(bucket.take(1, kStart));
  EXPECT_EQ(bucket.until(1, kStart), 1s);
  EXPECT_EQ(bucket.until(60, kStart), 60s);
  EXPECT_FALSE(bucket.take(1, kStart + 1s - 1ns));
  EXPECT_TRUE(bucket.take(1, kStart + 1s));
  EXPECT_FALSE(bucket.take(1, kStart + 1s));
  EXPECT_EQ(bucket.left(kStart + 1h), 60u) << "no more than it holds";
}

TEST(RateBucket, AllOrNothing) {
  RateBucket bucket(100, kStart);
  EXPECT_TRUE(bucket.take(70, kStart));
  EXPECT_FALSE(bucket.take(31, kStart));
  EXPECT_EQ(bucket.left(kStart), 30u);
  EXPECT_TRUE(bucket.take(30, kStart));
  EXPECT_FALSE(bucket.take(101, kStart + 1h)) << "more than it ever holds";
}

TEST(RateBucket, WhatIsOwedComesFirst) {
  RateBucket bucket(60, kStart);
  bucket.charge(90, kStart);
  EXPECT_EQ(bucket.left(kStart), 0u);
  EXPECT_EQ(bucket.until(1, kStart), 31s);
  EXPECT_FALSE(bucket.take(1, kStart + 30s));
  EXPECT_TRUE(bucket.take(1, kStart + 31s));
  bucket.give_back(1'000'000, kStart + 31s);
  EXPECT_EQ(bucket.left(kStart + 31s), 60u);
}

TEST(RateBucket, AnotherRateKeepsWhatWasUsed) {
  RateBucket bucket(100, kStart);
  ASSERT_TRUE(bucket.take(80, kStart));
  bucket.set_rate(90, kStart);
  EXPECT_EQ(bucket.left(kStart), 10u);
  bucket.set_rate(50, kStart);
  EXPECT_EQ(bucket.left(kStart), 0u);
  EXPECT_EQ(bucket.until(1, kStart), 31 * Duration(60s) / 50);
  bucket.set_rate(200, kStart);
  EXPECT_EQ(bucket.left(kStart), 120u);
}

TEST(RateBucket, TimeThatGoesBackBringsNothing) {
  RateBucket bucket(60, kStart);
  ASSERT_TRUE(bucket.take(60, kStart + 10s));
  EXPECT_FALSE(bucket.take(1, kStart));
  EXPECT_FALSE(bucket.take(1, kStart + 10s));
  EXPECT_TRUE(bucket.take(1, kStart + 11s));
}

TEST(RateBucket, TheLargestNumbersStayNumbers) {
  RateBucket bucket(RateBucket::kMostPerMinute, kStart);
  EXPECT_TRUE(bucket.take(RateBucket::kMostPerMinute, kStart));
  for (int i = 0; i < 10; ++i) bucket.charge(UINT64_MAX, kStart);
  EXPECT_EQ(bucket.until(RateBucket::kMostPerMinute, kStart), 2min) << "so much may be owed, and no more";
  EXPECT_EQ(bucket.left(kStart + 24h * 365), RateBucket::kMostPerMinute);
  for (int i = 0; i < 3; ++i) bucket.give_back(UINT64_MAX, kStart);
  EXPECT_EQ(bucket.left(kStart), RateBucket::kMostPerMinute);
  bucket.set_rate(1, kStart);
  EXPECT_EQ(bucket.left(kStart), 1u);
}

// Where something is always refused, what passes up to a time T is what the bucket held and floor(rate * T)
// more.
TEST(RateBucket, UnderAnyLoadExactlyTheRatePasses) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t rate = 2 + random() % (round % 2 == 0 ? 20 : 100'000);
    RateBucket bucket(rate, kStart);
    Duration at{};
    std::uint64_t passed = 0;
    for (int step = 0; step < 400; ++step) {
      while (bucket.take(1, kStart + at)) ++passed;
      const auto brought = static_cast<std::uint64_t>(at.count()) * rate / 60'000'000'000ULL;
      ASSERT_EQ(passed, rate + brought) << rate << " per minute, " << at.count() << " ns";
      // Never so long that the bucket runs over, or what it cannot hold is lost.
      at += Duration(static_cast<std::int64_t>(random() % 7 * 1'000'003ULL * (1 + random() % 900)));
    }
  }
}

TEST(RateBucket, UntilIsTheFirstMomentThatPasses) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t rate = 1 + random() % 5000;
    RateBucket bucket(rate, kStart);
    bucket.charge(random() % (3 * rate), kStart);
    const std::uint64_t amount = 1 + random() % rate;
    const Duration wait = bucket.until(amount, kStart);
    if (wait > Duration::zero()) {
      RateBucket early = bucket;
      EXPECT_FALSE(early.take(amount, kStart + wait - 1ns)) << rate << ' ' << amount;
    }
    EXPECT_TRUE(bucket.take(amount, kStart + wait)) << rate << ' ' << amount;
  }
}

}  // namespace
}  // namespace troupe::gateway
