// Fetch times: a sane guess first, then what links showed.
#include "services/router/transfer_models.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

const NodeId kA{1, 1}, kB{2, 2}, kC{3, 3};
constexpr double kMegabyte = 1e6;

struct Stage {
  Stage() : models({3000, 1e-3}) {}
  /// `times` fetches of 1 to 20 MB that take 2 ms and `byte_us` a byte.
  void fetches(const NodeId& from, const NodeId& to, double byte_us, int times = 40) {
    for (int i = 0; i < times; ++i) {
      const double bytes = (1 + i % 20) * kMegabyte;
      models.learn(from, to, bytes, 2000 + byte_us * bytes, now);
      now += 100ms;
    }
  }
  [[nodiscard]] double us(const NodeId& from, const NodeId& to, double bytes) const {
    return models.costs(from, now).to(to).us(bytes);
  }
  TransferModels models;
  TimePoint now{1h};
};

TEST(TransferModels, GuessUntilSomethingWasFetched) {
  const Stage s;
  EXPECT_DOUBLE_EQ(s.us(kA, kB, 10 * kMegabyte), 3000 + 10000);
}

TEST(TransferModels, LearnALinksRateAndItsLatency) {
  for (const double byte_us : {1e-4, 1e-3, 0.1}) {  // 10 GB/s to 10 MB/s
    Stage s;
    s.fetches(kA, kB, byte_us);
    for (const double bytes : {5.0, 10.0, 20.0})
      EXPECT_NEAR(s.us(kA, kB, bytes * kMegabyte) / (2000 + byte_us * bytes * kMegabyte), 1, 0.15)
          << byte_us << ", " << bytes;
  }
}

TEST(TransferModels, ASlowLinkIsNotHeldAgainstItsSourcesOthers) {
  Stage s;
  s.fetches(kA, kB, 0.1);
  s.fetches(kA, kC, 1e-3, 400);
  EXPECT_GT(s.us(kA, kB, 10 * kMegabyte), 500e3);
  EXPECT_LT(s.us(kA, kC, 10 * kMegabyte), 20e3);
  const NodeId unknown{9, 9};
  EXPECT_LT(s.us(kA, unknown, 10 * kMegabyte), 100e3) << "like what the source showed last";
}

TEST(TransferModels, ASourceNobodyAskedYetIsTakenForTheOthers) {
  Stage s;
  s.fetches(kA, kB, 0.1);
  EXPECT_GT(s.us(kC, kB, 10 * kMegabyte), 500e3);
}

TEST(TransferModels, WhatWasLearntLongAgoIsTriedAgain) {
  Stage s;
  s.fetches(kA, kB, 0.1);
  s.fetches(kC, kB, 1e-3, 400);
  ASSERT_GT(s.us(kA, kB, 10 * kMegabyte), 500e3);
  s.now += 2min;
  EXPECT_LT(s.us(kA, kB, 10 * kMegabyte), 50e3) << "else nobody would ask it again";
}

TEST(TransferModels, ALinkThatChangesForGoodIsBelievedSoon) {
  Stage s;
  s.fetches(kA, kB, 1e-3);
  s.fetches(kA, kB, 0.05, 30);
  EXPECT_GT(s.us(kA, kB, 10 * kMegabyte), 250e3);
}

TEST(TransferModels, OneOutlierChangesLittle) {
  Stage s;
  s.fetches(kA, kB, 1e-3);
  const double before = s.us(kA, kB, 10 * kMegabyte);
  s.models.learn(kA, kB, 10 * kMegabyte, 5e6, s.now);
  EXPECT_LT(s.us(kA, kB, 10 * kMegabyte), 1.5 * before);
}

TEST(TransferModels, ForgetWhoIsGoneAndHoldABoundedNumberOfLinks) {
  Stage s;
  s.fetches(kA, kB, 0.1, 4);
  s.models.forget(kB);
  EXPECT_EQ(s.models.links(), 0u);
  for (std::uint64_t i = 0; i < TransferModels::kMostLinks + 100; ++i)
    s.models.learn({1, i}, kB, kMegabyte, 3000, s.now);
  EXPECT_EQ(s.models.links(), TransferModels::kMostLinks);
  s.now += 2min;
  s.models.learn(kA, kC, kMegabyte, 3000, s.now);
  EXPECT_EQ(s.models.links(), 1u) << "what nobody trusts makes room";
}

}  // namespace
}  // namespace troupe::router
