// What every directory does, in memory or in Redis.
#include <gtest/gtest.h>

#include <thread>

#include "common/directory/memory_directory.hpp"
#include "common/directory/redis_directory.hpp"
#include "tests/common/directory/waiting.hpp"
#include "tests/support/redis_server.hpp"

namespace troupe::test {
namespace {

using directory::Directory;
using directory::Key;
using directory::Members;
using namespace std::chrono_literals;

class DirectoryConformance : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "memory") {
      directory_ = std::make_unique<directory::MemoryDirectory>(clock_, 1u << 20);
      return;
    }
    if (!RedisServer::available()) GTEST_SKIP() << "redis-server is not on this machine";
    server_ = std::make_unique<RedisServer>();
    directory::RedisOptions options;
    options.address = {"127.0.0.1", server_->port(), 0};
    options.deadline = 10s;
    directory_ = directory::open_redis_directory(options);
  }
  /// Until `name` has no value any more.
  bool ends(const std::string& name) {
    for (int i = 0; i < 2000; ++i) {
      const Value value = get(*directory_, name);
      if (value && !value->has_value()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  SteadyClock clock_;
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Directory> directory_;
};

TEST_P(DirectoryConformance, AValueIsThereUntilItIsErased) {
  EXPECT_EQ(get(*directory_, "a"), std::nullopt);
  EXPECT_TRUE(put(*directory_, {"a", 1h}, "1"));
  EXPECT_TRUE(put(*directory_, {"a", 1h}, "2"));
  EXPECT_EQ(get(*directory_, "a"), "2");
  EXPECT_TRUE(erase(*directory_, "a"));
  EXPECT_EQ(get(*directory_, "a"), std::nullopt);
}

TEST_P(DirectoryConformance, ValuesAreBytes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  bytes += std::string(100'000, '\0');
  EXPECT_TRUE(put(*directory_, {"bytes", 1h}, bytes));
  EXPECT_EQ(get(*directory_, "bytes"), bytes);
  EXPECT_TRUE(put(*directory_, {"empty", 1h}, ""));
  EXPECT_EQ(get(*directory_, "empty"), "");
}

TEST_P(DirectoryConformance, TheFirstClaimHolds) {
  EXPECT_EQ(claim(*directory_, {"c", 1h}, "mine"), "mine");
  EXPECT_EQ(claim(*directory_, {"c", 1h}, "yours"), "mine");
  EXPECT_TRUE(erase(*directory_, "c"));
  EXPECT_EQ(claim(*directory_, {"c", 1h}, "yours"), "yours");
}

TEST_P(DirectoryConformance, AValueEndsWithItsTime) {
  EXPECT_TRUE(put(*directory_, {"short", 20ms}, "1"));
  EXPECT_EQ(claim(*directory_, {"short-claim", 20ms}, "1"), "1");
  EXPECT_TRUE(ends("short"));
  EXPECT_TRUE(ends("short-claim"));
  EXPECT_EQ(claim(*directory_, {"short-claim", 1h}, "2"), "2");
}

TEST_P(DirectoryConformance, ARosterListsItsMembersUntilTheirLeasesEnd) {
  EXPECT_EQ(list(*directory_), Members{});
  EXPECT_TRUE(enter(*directory_, "b", "second", 1h));
  EXPECT_TRUE(enter(*directory_, "a", "first", 1h));
  EXPECT_TRUE(enter(*directory_, "c", "third", 20ms));
  EXPECT_TRUE(enter(*directory_, "d", "fourth", 20ms));
  EXPECT_TRUE(ends("test:roster:c"));
  EXPECT_TRUE(ends("test:roster:d"));
  EXPECT_EQ(list(*directory_), (Members{{"a", "first"}, {"b", "second"}}));
  EXPECT_TRUE(enter(*directory_, "c", "again", 1h));
  EXPECT_EQ(list(*directory_), (Members{{"a", "first"}, {"b", "second"}, {"c", "again"}}));
}

TEST_P(DirectoryConformance, CallsOfOneThreadTakeEffectInTheirOrder) {
  for (int i = 0; i < 200; ++i) directory_->put({"n", 1h}, std::to_string(i), [](const Value&) {});
  EXPECT_EQ(get(*directory_, "n"), "199");
}

TEST_P(DirectoryConformance, AnAnswerMayCallAgain) {
  auto last = answer_of<Value>([&](auto done) {
    directory_->put({"x", 1h}, "1", [this, done](const Value&) { directory_->get("x", done); });
  });
  EXPECT_EQ(last, "1");
}

INSTANTIATE_TEST_SUITE_P(All, DirectoryConformance, ::testing::Values("memory", "redis"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace troupe::test
