// A Redis that dies, stands still, comes back, or does not let us in: every call is answered.
#include "common/directory/redis_directory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/common/directory/waiting.hpp"
#include "tests/support/redis_server.hpp"

namespace troupe::test {
namespace {

using directory::Directory;
using directory::RedisOptions;
using namespace std::chrono_literals;

class RedisDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::available()) GTEST_SKIP() << "redis-server is not on this machine";
  }
  static RedisOptions options(std::uint16_t port) {
    RedisOptions out;
    out.address = {"127.0.0.1", port, 0};
    out.deadline = 10s;
    out.first_pause = 5ms;
    out.longest_pause = 20ms;
    return out;
  }
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 4000 && !condition(); ++i) std::this_thread::sleep_for(5ms);
    return condition();
  }
};

TEST_F(RedisDirectoryTest, AfterADeathCallsFailAtOnceAndAfterARestartTheyWorkAgain) {
  RedisServer server;
  const auto redis = directory::open_redis_directory(options(server.port()));
  ASSERT_TRUE(put(*redis, {"a", 1h}, "1"));
  EXPECT_TRUE(redis->stats().reachable);
  server.kill();
  ASSERT_TRUE(eventually([&] { return !redis->stats().reachable; }));
  const Value away = get(*redis, "a");
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Errc::peer_lost);
  EXPECT_EQ(retry_class(away.error().code), Retry::elsewhere);
  server.start();
  ASSERT_TRUE(eventually([&] { return redis->stats().reachable; }));
  EXPECT_TRUE(put(*redis, {"a", 1h}, "2"));
  EXPECT_EQ(get(*redis, "a"), "2");
  EXPECT_GE(redis->stats().losses, 1u);
  EXPECT_EQ(redis->stats().waiting, 0u);
}

TEST_F(RedisDirectoryTest, CallsInFlightAtADeathAreAllAnswered) {
  RedisServer server;
  const auto redis = directory::open_redis_directory(options(server.port()));
  ASSERT_TRUE(put(*redis, {"a", 1h}, "1"));
  std::atomic<int> answered = 0;
  server.freeze();
  for (int i = 0; i < 100; ++i)
    redis->put({"a", 1h}, "x", [&](const Value& value) {
      EXPECT_FALSE(value);
      ++answered;
    });
  server.kill();
  EXPECT_TRUE(eventually([&] { return answered == 100; })) << answered;
  EXPECT_EQ(redis->stats().waiting, 0u);
}

TEST_F(RedisDirectoryTest, ARedisThatStandsStillIsGivenUpAtTheDeadline) {
  RedisServer server;
  RedisOptions settings = options(server.port());
  settings.deadline = 100ms;
  const auto redis = directory::open_redis_directory(settings);
  ASSERT_TRUE(eventually([&] { return put(*redis, {"a", 1h}, "1").has_value(); }));
  server.freeze();
  const Value late = get(*redis, "a");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::deadline_exceeded);
  EXPECT_FALSE(redis->stats().reachable);
  server.thaw();
  ASSERT_TRUE(eventually([&] { return redis->stats().reachable; }));
  EXPECT_EQ(get(*redis, "a"), "1");
}

TEST_F(RedisDirectoryTest, NobodyListening) {
  std::uint16_t port = 0;
  {
    const RedisServer gone;
    port = gone.port();
  }
  const auto redis = directory::open_redis_directory(options(port));
  ASSERT_TRUE(eventually([&] { return redis->stats().losses >= 2; }));
  const Value value = get(*redis, "a");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Errc::peer_lost);
}

TEST_F(RedisDirectoryTest, ItsPasswordIsGivenAndAWrongOneIsNoCrash) {
  RedisServer server("hunter2");
  RedisOptions settings = options(server.port());
  settings.password = "hunter2";
  settings.address.database = 2;
  const auto redis = directory::open_redis_directory(settings);
  EXPECT_TRUE(put(*redis, {"a", 1h}, "1"));
  EXPECT_EQ(get(*redis, "a"), "1");
  for (const char* wrong : {"", "hunter3"}) {
    settings.password = wrong;
    const auto refused = directory::open_redis_directory(settings);
    ASSERT_TRUE(eventually([&] { return refused->stats().losses >= 2; }));
    EXPECT_FALSE(refused->stats().reachable);
    EXPECT_FALSE(get(*refused, "a"));
  }
}

TEST_F(RedisDirectoryTest, ItsQueueIsBounded) {
  RedisServer server;
  RedisOptions settings = options(server.port());
  settings.max_calls = 8;
  const auto redis = directory::open_redis_directory(settings);
  ASSERT_TRUE(put(*redis, {"a", 1h}, "1"));
  server.freeze();
  std::atomic<int> full = 0, other = 0;
  for (int i = 0; i < 20; ++i)
    redis->put({"a", 1h}, "x", [&](const Value& value) {
      ++(!value && value.error().code == Errc::queue_full ? full : other);
    });
  EXPECT_EQ(full, 12);
  server.thaw();
  EXPECT_TRUE(eventually([&] { return other == 8; }));
}

TEST_F(RedisDirectoryTest, AfterItsCloseCallsAreAnsweredAtOnce) {
  RedisServer server;
  const auto redis = directory::open_redis_directory(options(server.port()));
  ASSERT_TRUE(put(*redis, {"a", 1h}, "1"));
  redis->close();
  redis->close();
  bool answered = false;
  redis->get("a", [&](const Value& value) { answered = !value && value.error().code == Errc::cancelled; });
  EXPECT_TRUE(answered);
}

TEST_F(RedisDirectoryTest, ItsEndAnswersWhatIsOpen) {
  RedisServer server;
  auto redis = directory::open_redis_directory(options(server.port()));
  ASSERT_TRUE(put(*redis, {"a", 1h}, "1"));
  server.freeze();
  int cancelled = 0;
  for (int i = 0; i < 10; ++i)
    redis->get("a", [&](const Value& value) {
      cancelled += !value && value.error().code == Errc::cancelled ? 1 : 0;
    });
  redis.reset();
  EXPECT_EQ(cancelled, 10);
}

}  // namespace
}  // namespace troupe::test
