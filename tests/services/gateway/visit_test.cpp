#include "services/gateway/visit.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

Caller held(const KeyRates& rates) {
  ApiKey key;
  key.name = "alice";
  Caller caller;
  caller.key = std::make_shared<const HeldKey>(
      HeldKey{key, std::make_shared<KeyLimits>(rates, std::chrono::steady_clock::now())});
  return caller;
}

std::string remaining(const Visit& visit) {
  for (const Header& field : visit.limit_headers(std::chrono::steady_clock::now()))
    if (field.name == "x-ratelimit-remaining-tokens") return field.value;
  return "none";
}

TEST(Visit, GivesBackWhatItHeldWhenItIsOverAndOnce) {
  const Caller caller = held({.tokens_per_minute = 1000, .concurrent_requests = 1});
  const TimePoint now = std::chrono::steady_clock::now();
  Visit visit(caller, RequestId{1, 1}, now);
  EXPECT_FALSE(visit.enter(now));
  EXPECT_FALSE(visit.take_tokens(900, now));
  EXPECT_EQ(Visit(caller, RequestId{2, 2}, now).enter(now)->limit, KeyLimit::concurrency);
  visit.answered("small", 300, 200);
  visit.over(200);
  visit.over(500);
  EXPECT_EQ(caller.key->limits->running(), 0u);
  EXPECT_GE(std::stoi(remaining(visit)), 500);
  EXPECT_LT(std::stoi(remaining(visit)), 1000) << "what was used is gone";
}

TEST(Visit, OneThatIsDroppedIsOver) {
  const Caller caller = held({.concurrent_requests = 1});
  const TimePoint now = std::chrono::steady_clock::now();
  {
    Visit dropped(caller, RequestId{1, 1}, now);
    EXPECT_FALSE(dropped.enter(now));
    Visit refused(caller, RequestId{2, 2}, now);
    EXPECT_TRUE(refused.enter(now));
  }
  EXPECT_EQ(caller.key->limits->running(), 0u) << "who was refused gives nothing back";
}

TEST(Visit, WithoutAKeyThereAreNoLimits) {
  Visit visit(Caller{}, RequestId{1, 1}, TimePoint());
  EXPECT_FALSE(visit.enter(TimePoint()));
  EXPECT_FALSE(visit.take_tokens(UINT64_MAX, TimePoint()));
  EXPECT_TRUE(visit.limit_headers(TimePoint()).empty());
}

TEST(Visit, IsWrittenDownWithWhatItUsed) {
  const test::SecretFolder folder;
  AuditOptions options;
  options.target = (folder / "audit").string();
  {
    auto log = AuditLog::open(options);
    ASSERT_TRUE(log);
    const std::shared_ptr<AuditLog> audit = std::move(*log);
    const TimePoint now = std::chrono::steady_clock::now();
    Visit unseen(held({}), RequestId{1, 1}, now);
    Visit visit(held({}), RequestId{2, 2}, now);
    visit.write_to(audit, "completions", std::string(1000, 'x'));
    visit.answered("small", 7, 3);
    visit.over(499);
  }
  const std::string text = test::text_of_file(options.target);
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["request"], to_hex(RequestId{2, 2}));
  EXPECT_EQ(line["key"], "alice");
  EXPECT_EQ(line["route"], "completions");
  EXPECT_EQ(line["status"], 499);
  EXPECT_EQ(line["completion_tokens"], 3);
  EXPECT_EQ(line["target"].get<std::string>().size(), 256u);
}

}  // namespace
}  // namespace troupe::gateway
