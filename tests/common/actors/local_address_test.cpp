#include "common/actors/local_address.hpp"

#include <gtest/gtest.h>

namespace troupe::actors {
namespace {

TEST(LocalAddress, KnowsWhatNobodyCanDial) {
  for (const char* host : {"0.0.0.0", "::", "*"}) EXPECT_TRUE(is_wildcard(host)) << host;
  for (const char* host : {"127.0.0.1", "::1", "worker-1", "10.0.0.1", ""})
    EXPECT_FALSE(is_wildcard(host)) << host;
}

TEST(LocalAddress, OfAPeerOnLoopbackIsLoopback) {
  EXPECT_EQ(address_towards({"127.0.0.1", 7400}).value_or("none"), "127.0.0.1");
  EXPECT_TRUE(is_loopback(address_towards({"localhost", 7400}).value_or("none")));
}

TEST(LocalAddress, SaysWhichPeerItCouldNotFind) {
  const auto address = address_towards({"no-such-host.invalid", 7400});
  ASSERT_FALSE(address.has_value());
  EXPECT_EQ(address.error().code, Errc::peer_lost);
  EXPECT_NE(address.error().detail.find("no-such-host.invalid:7400"), std::string::npos)
      << address.error().detail;
}

TEST(LocalAddress, OfTheOwnNameIsNeverLoopback) {
  const auto address = address_of_own_name();
  if (address) {
    EXPECT_FALSE(is_loopback(*address));
    EXPECT_FALSE(is_wildcard(*address));
  } else {
    EXPECT_EQ(address.error().code, Errc::peer_lost);
  }
}

}  // namespace
}  // namespace troupe::actors
