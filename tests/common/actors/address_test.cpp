#include "common/actors/address.hpp"

#include <gtest/gtest.h>

namespace troupe::actors {
namespace {

TEST(Address, ReadsHostAndPortAndRefusesTheRest) {
  EXPECT_EQ(parse_host_port("127.0.0.1:7001")->port, 7001);
  EXPECT_EQ(parse_host_port("[::1]:0")->host, "::1");
  EXPECT_EQ(parse_host_port("worker-1:65535")->host, "worker-1");
  for (const char* bad : {"", ":1", "host", "host:", "host:65536", "host:1x", "::1:80", "host:-1"})
    EXPECT_FALSE(parse_host_port(bad).has_value()) << bad;
}

TEST(Address, FormatIsTheInverseOfParse) {
  for (const char* text : {"127.0.0.1:1", "[::1]:7001", "name:0"})
    EXPECT_EQ(format(*parse_host_port(text)), text);
}

TEST(Address, OnlyLoopbackListensWithoutInsecure) {
  EXPECT_TRUE(check_listen("cluster.listen", {"127.0.0.1", 0}, false).has_value());
  EXPECT_TRUE(check_listen("cluster.listen", {"::1", 0}, false).has_value());
  EXPECT_TRUE(check_listen("cluster.listen", {"0.0.0.0", 0}, true).has_value());
  const auto refused = check_listen("cluster.listen", {"0.0.0.0", 7001}, false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::config_invalid);
  EXPECT_NE(refused.error().detail.find("cluster.listen is 0.0.0.0:7001"), std::string::npos)
      << refused.error().detail;
  EXPECT_NE(refused.error().detail.find("--insecure"), std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
