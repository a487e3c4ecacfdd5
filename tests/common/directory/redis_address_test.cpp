#include "common/directory/redis_address.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using directory::parse_redis_address;

TEST(RedisAddress, IsReadInAllItsForms) {
  auto address = parse_redis_address("redis://127.0.0.1:7000/3");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "127.0.0.1");
  EXPECT_EQ(address->port, 7000);
  EXPECT_EQ(address->database, 3u);
  address = parse_redis_address("redis://cache");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "cache");
  EXPECT_EQ(address->port, 6379);
  address = parse_redis_address("redis://[::1]:7000");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "::1");
  EXPECT_EQ(address->port, 7000);
}

TEST(RedisAddress, EverythingElseIsRefused) {
  for (const char* text :
       {"", "cache:6379", "http://cache", "redis://", "redis://:6379", "redis://a:", "redis://a:0",
        "redis://a:70000", "redis://a:6379x", "redis://a/x", "redis://[::1", "redis://[::1]7000"}) {
    const auto address = parse_redis_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Errc::config_invalid) << text;
  }
}

TEST(RedisAddress, APasswordInItIsRefusedWithoutBeingShown) {
  const auto address = parse_redis_address("redis://:hunter2@cache:6379");
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().detail.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace troupe::test
