// Responses at two gateways and in what they share: found at both, deleted at both, and what a dead directory
// costs.
#include "services/gateway/responses/store.hpp"

#include <gtest/gtest.h>

#include "tests/services/gateway/script_directory.hpp"

namespace troupe::test {
namespace {

using gateway::responses::ResponseStore;
using gateway::responses::StoreOptions;
using namespace std::chrono_literals;

class ResponseStoreTest : public ::testing::Test {
 protected:
  std::optional<std::string> get(ResponseStore& store, std::uint64_t id) {
    std::optional<Expected<std::optional<std::string>>> out;
    store.get({id, id}, [&](auto got) { out = std::move(got); });
    EXPECT_TRUE(out.has_value());
    failed_ = out && !*out;
    return out && *out ? **out : std::nullopt;
  }
  static void put(ResponseStore& store, std::uint64_t id, std::string value) {
    bool done = false;
    store.put({id, id}, std::move(value), [&] { done = true; });
    EXPECT_TRUE(done);
  }
  static bool erase(ResponseStore& store, std::uint64_t id) {
    bool good = false;
    store.erase({id, id}, [&](const auto& erased) { good = erased.has_value(); });
    return good;
  }
  void set_away(bool away) {
    const std::lock_guard lock(redis_->mutex);
    redis_->away = away;
  }

  ManualClock clock_;
  std::shared_ptr<ScriptRedis> redis_ = std::make_shared<ScriptRedis>(clock_);
  ScriptDirectory first_way_{redis_}, second_way_{redis_};
  const StoreOptions options_{.time = 10min, .most_bytes = 1000, .max_bytes = 100};
  ResponseStore first_{options_, clock_, &first_way_}, second_{options_, clock_, &second_way_};
  ResponseStore alone_{options_, clock_, nullptr};
  bool failed_ = false;
};

TEST_F(ResponseStoreTest, WhatOneGatewayKeepsBothFindUntilItsTimeIsOver) {
  put(first_, 1, "one");
  put(alone_, 1, "mine");
  EXPECT_EQ(get(first_, 1), "one");
  EXPECT_EQ(get(second_, 1), "one");
  EXPECT_EQ(get(alone_, 1), "mine");
  EXPECT_EQ(get(second_, 2), std::nullopt);
  clock_.advance(11min);
  for (ResponseStore* store : {&first_, &second_, &alone_}) EXPECT_EQ(get(*store, 1), std::nullopt);
}

TEST_F(ResponseStoreTest, WhatOneGatewayDeletesIsGoneAtBoth) {
  put(first_, 1, "one");
  EXPECT_TRUE(erase(second_, 1));
  EXPECT_EQ(get(first_, 1), std::nullopt);
  set_away(true);  // it did not stay in the table either
  EXPECT_EQ(get(first_, 1), std::nullopt);
  EXPECT_TRUE(failed_);
}

TEST_F(ResponseStoreTest, WhileTheDirectoryIsAwayAGatewayKnowsItsOwn) {
  put(first_, 1, "before");
  set_away(true);
  put(first_, 2, "while");
  EXPECT_EQ(get(first_, 1), "before");
  EXPECT_EQ(get(first_, 2), "while");
  EXPECT_EQ(get(second_, 1), std::nullopt);
  EXPECT_TRUE(failed_);
  EXPECT_FALSE(erase(first_, 1));  // others may still find it
  set_away(false);
  EXPECT_EQ(get(first_, 2), "while");  // the directory never had it, so nobody deleted it
  EXPECT_EQ(get(second_, 2), std::nullopt);
  EXPECT_FALSE(failed_);
}

TEST_F(ResponseStoreTest, OverTheBoundTheOldestGoEverywhere) {
  for (ResponseStore* store : {&first_, &alone_}) {
    put(*store, 1, std::string(400, 'a'));
    put(*store, 2, std::string(400, 'b'));
    put(*store, 1, std::string(500, 'c'));  // the same again counts once, and is the newest
    EXPECT_EQ(get(*store, 2), std::string(400, 'b'));
    put(*store, 3, std::string(200, 'd'));
    EXPECT_EQ(get(*store, 2), std::nullopt);
    EXPECT_EQ(get(*store, 1), std::string(500, 'c'));
    EXPECT_EQ(get(*store, 3), std::string(200, 'd'));
  }
  EXPECT_EQ(get(second_, 2), std::nullopt);
  EXPECT_EQ(get(second_, 3), std::string(200, 'd'));
  EXPECT_TRUE(erase(first_, 1));
  put(first_, 4, std::string(700, 'e'));  // what was deleted does not count
  EXPECT_EQ(get(second_, 3), std::string(200, 'd'));
}

TEST_F(ResponseStoreTest, OnlySoMuchFits) {
  EXPECT_TRUE(first_.fits(100));
  EXPECT_FALSE(first_.fits(101));
}

}  // namespace
}  // namespace troupe::test
