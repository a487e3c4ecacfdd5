#include "services/gateway/key_limits.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

std::map<std::string, std::string> told(const KeyLimits& limits, TimePoint now) {
  std::map<std::string, std::string> out;
  for (const Header& field : limits.headers(now)) out[field.name] = field.value;
  return out;
}

TEST(KeyLimits, WithoutRatesEverybodyComesInAndNothingIsTold) {
  KeyLimits limits({}, kStart);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(limits.enter(kStart));
    EXPECT_FALSE(limits.take_tokens(1'000'000, kStart));
  }
  EXPECT_EQ(limits.running(), 1000u);
  EXPECT_TRUE(limits.headers(kStart).empty());
}

TEST(KeyLimits, RequestsPerMinute) {
  KeyLimits limits({.requests_per_minute = 3}, kStart);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(limits.enter(kStart));
    limits.leave();
  }
  const auto refused = limits.enter(kStart);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->limit, KeyLimit::requests);
  EXPECT_EQ(refused->most, 3u);
  EXPECT_EQ(refused->wait, 20s);
  EXPECT_EQ(limits.running(), 0u);
  const auto headers = told(limits, kStart);
  EXPECT_EQ(headers.at("x-ratelimit-limit-requests"), "3");
  EXPECT_EQ(headers.at("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(headers.at("x-ratelimit-reset-requests"), "1m0s");
  EXPECT_EQ(headers.size(), 3u) << "nothing of tokens";
  EXPECT_FALSE(limits.enter(kStart + refused->wait)) << "then it fits";
}

TEST(KeyLimits, RequestsAtATimeAreNotCountedWhenRefused) {
  KeyLimits limits({.requests_per_minute = 3, .concurrent_requests = 1}, kStart);
  EXPECT_FALSE(limits.enter(kStart));
  for (int i = 0; i < 10; ++i) {
    const auto refused = limits.enter(kStart);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->limit, KeyLimit::concurrency);
  }
  limits.leave();
  EXPECT_FALSE(limits.enter(kStart));
  EXPECT_EQ(told(limits, kStart).at("x-ratelimit-remaining-requests"), "1");
}

TEST(KeyLimits, TokensAreTakenAtTheBeginningAndSettledAtTheEnd) {
  KeyLimits limits({.tokens_per_minute = 100}, kStart);
  EXPECT_FALSE(limits.take_tokens(80, kStart));
  const auto refused = limits.take_tokens(30, kStart);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->limit, KeyLimit::tokens);
  EXPECT_EQ(refused->wanted, 30u);
  EXPECT_EQ(refused->wait, 6s);
  limits.settle_tokens(80, 25, kStart);
  EXPECT_EQ(told(limits, kStart).at("x-ratelimit-remaining-tokens"), "75");
  EXPECT_FALSE(limits.take_tokens(10, kStart));
  limits.settle_tokens(10, 200, kStart);  // the client named no length
  EXPECT_EQ(told(limits, kStart).at("x-ratelimit-remaining-tokens"), "0");
  EXPECT_EQ(limits.take_tokens(1, kStart)->wait, Duration(126 * 60s) / 100) << "125 are owed";
  const auto never = limits.take_tokens(101, kStart);
  ASSERT_TRUE(never);
  EXPECT_GT(never->wanted, never->most);
}

TEST(KeyLimits, OtherRatesThrowNobodyOut) {
  KeyLimits limits({.requests_per_minute = 10, .concurrent_requests = 2}, kStart);
  EXPECT_FALSE(limits.enter(kStart));
  EXPECT_FALSE(limits.enter(kStart));
  limits.set({.requests_per_minute = 4, .concurrent_requests = 1}, kStart);
  EXPECT_EQ(limits.running(), 2u);
  EXPECT_EQ(told(limits, kStart).at("x-ratelimit-remaining-requests"), "2");
  limits.leave();
  EXPECT_EQ(limits.enter(kStart)->limit, KeyLimit::concurrency);
  limits.leave();
  EXPECT_FALSE(limits.enter(kStart));
  limits.set({}, kStart);
  EXPECT_FALSE(limits.enter(kStart));
  EXPECT_TRUE(limits.headers(kStart).empty());
}

// A hundred keys, each asked far over its limits for ten virtual minutes: of each exactly what its rate
// allows comes in, and never more at a time than it may.
TEST(KeyLimits, AHundredKeysAtTheirLimitsAreExact) {
  std::mt19937_64 random(100);
  for (std::uint64_t key = 1; key <= 100; ++key) {
    const KeyRates rates{
        .requests_per_minute = key * 7, .tokens_per_minute = key * 1000, .concurrent_requests = key};
    KeyLimits limits(rates, kStart);
    std::uint64_t entered = 0, tokens = 0;
    std::vector<std::uint64_t> running;
    const Duration end = 10min;
    for (Duration at{}; at <= end; at += 500ms) {
      while (running.size() > random() % (key + 1)) {
        limits.settle_tokens(running.back(), running.back(), kStart + at);
        limits.leave();
        running.pop_back();
      }
      for (int refused = 0; refused < 2;) {
        if (limits.enter(kStart + at)) {
          ++refused;
          continue;
        }
        ++entered;
        const std::uint64_t wanted = 1 + random() % 50;
        if (limits.take_tokens(wanted, kStart + at)) {
          running.push_back(0);
        } else {
          tokens += wanted;
          running.push_back(wanted);
        }
        ASSERT_LE(running.size(), key);
      }
      const auto most = [&](std::uint64_t rate) {
        return rate + rate * static_cast<std::uint64_t>(at.count()) / 60'000'000'000ULL;
      };
      ASSERT_LE(entered, most(rates.requests_per_minute));
      ASSERT_LE(tokens, most(rates.tokens_per_minute));
    }
    while (!running.empty()) {
      limits.leave();
      running.pop_back();
    }
    // What is left of the rate is what comes in now, one by one: none was lost and none was given twice.
    while (!limits.enter(kStart + end)) {
      ++entered;
      limits.leave();
    }
    EXPECT_EQ(entered, rates.requests_per_minute * 11) << "key " << key;
  }
}

TEST(KeyLimits, ManyThreadsGetNoMoreThanOne) {
  KeyLimits limits({.requests_per_minute = 500, .tokens_per_minute = 1000}, kStart);
  std::atomic<std::uint64_t> entered{0}, tokens{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        if (limits.enter(kStart)) continue;
        ++entered;
        if (!limits.take_tokens(3, kStart)) tokens += 3;
        limits.leave();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(entered, 500u);
  EXPECT_EQ(tokens, 999u);
  EXPECT_EQ(limits.running(), 0u);
}

TEST(KeyLimits, TimesAreWrittenAsOpenAiDoes) {
  EXPECT_EQ(reset_text(0ns), "0ms");
  EXPECT_EQ(reset_text(1ns), "1ms");
  EXPECT_EQ(reset_text(120ms), "120ms");
  EXPECT_EQ(reset_text(1s), "1s");
  EXPECT_EQ(reset_text(7660ms), "7.66s");
  EXPECT_EQ(reset_text(59999999999ns), "1m0s");
  EXPECT_EQ(reset_text(6min), "6m0s");
  EXPECT_EQ(reset_text(61001ms), "1m1.001s");
}

}  // namespace
}  // namespace troupe::gateway
