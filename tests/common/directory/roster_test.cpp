// Members that come, go and come again, over a Redis that may be away.
#include "common/directory/roster.hpp"

#include <gtest/gtest.h>

#include "common/directory/memory_directory.hpp"
#include "common/directory/redis_directory.hpp"
#include "tests/support/redis_server.hpp"

namespace troupe::test {
namespace {

using directory::Members;
using directory::Roster;
using namespace std::chrono_literals;

/// What a follower was told last.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Members> lists;
  Roster::Changed take() {
    return [this](const Members& members) {
      const std::lock_guard lock(mutex);
      lists.push_back(members);
      changed.notify_all();
    };
  }
  bool becomes(const Members& wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 20s, [&] { return !lists.empty() && lists.back() == wanted; });
  }
};

class RosterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::available()) GTEST_SKIP() << "redis-server is not on this machine";
    server_ = std::make_unique<RedisServer>();
  }
  std::unique_ptr<Roster> roster() {
    directory::RedisOptions options;
    options.address = {"127.0.0.1", server_->port(), 0};
    options.deadline = 10s;
    return std::make_unique<Roster>(directory::open_redis_directory(options), "test:routers", 300ms);
  }
  std::unique_ptr<RedisServer> server_;
  Told told_;
};

TEST_F(RosterTest, AFollowerLearnsWhoComesAndWhoGoes) {
  const auto follower = roster();
  follower->follow(told_.take());
  auto one = roster(), two = roster();
  one->enter("a", "host:1");
  EXPECT_TRUE(told_.becomes({{"a", "host:1"}}));
  two->enter("b", "host:2");
  EXPECT_TRUE(told_.becomes({{"a", "host:1"}, {"b", "host:2"}}));
  one.reset();  // its lease runs out
  EXPECT_TRUE(told_.becomes({{"b", "host:2"}}));
}

TEST_F(RosterTest, WhoIsInStaysInBeyondALeaseAndNothingIsToldTwice) {
  const auto member = roster(), follower = roster();
  member->enter("a", "host:1");
  follower->follow(told_.take());
  ASSERT_TRUE(told_.becomes({{"a", "host:1"}}));
  const auto witness = roster();
  for (int i = 0; i < 3; ++i) {  // each a lease or more later
    Told later;
    const auto fresh = roster();
    fresh->follow(later.take());
    EXPECT_TRUE(later.becomes({{"a", "host:1"}}));
    std::this_thread::sleep_for(300ms);
  }
  const std::lock_guard lock(told_.mutex);
  EXPECT_EQ(told_.lists.size(), 1u);
}

TEST(Roster, AnEmptyListIsNoNews) {
  SteadyClock clock;
  Told told;
  Roster follower(std::make_unique<directory::MemoryDirectory>(clock, 1u << 20), "test:routers", 30ms);
  follower.follow(told.take());
  std::this_thread::sleep_for(100ms);
  const std::lock_guard lock(told.mutex);
  EXPECT_TRUE(told.lists.empty());
}

TEST(Roster, EndsAtOnceWhileItsDirectoryIsAway) {
  directory::RedisOptions options;
  options.address = {"127.0.0.1", 1, 0};
  Roster roster(directory::open_redis_directory(options), "test:routers", 1h);
  roster.enter("a", "host:1");
  roster.follow([](const Members&) { FAIL() << "nobody is there"; });
}

}  // namespace
}  // namespace troupe::test
