#include "services/gateway/tenant_shares.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::TenantShares;

TEST(TenantShares, OneAloneHasAllPlacesAndNoMore) {
  TenantShares shares(16);
  EXPECT_TRUE(shares.enter("a", 16));
  const auto refused = shares.enter("a", 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::queue_full);
  shares.leave("a", 4);
  EXPECT_FALSE(shares.enter("a", 5)) << "all or none";
  EXPECT_EQ(shares.taken(), 12u);
  EXPECT_TRUE(shares.enter("a", 4));
}

TEST(TenantShares, WhoHasLessThanItsShareFindsAPlaceThoughAllAreTaken) {
  TenantShares shares(16);
  ASSERT_TRUE(shares.enter("heavy", 16));
  EXPECT_TRUE(shares.enter("light", 1));
  EXPECT_FALSE(shares.enter("heavy", 1));
  EXPECT_TRUE(shares.enter("light", 1));
  EXPECT_FALSE(shares.enter("light", 1)) << "nine eighths are the end";
  EXPECT_EQ(shares.taken(), 18u);
}

TEST(TenantShares, WhoHasItsShareWaitsLikeTheOthers) {
  TenantShares shares(16);
  ASSERT_TRUE(shares.enter("a", 8));
  ASSERT_TRUE(shares.enter("b", 8));
  EXPECT_FALSE(shares.enter("a", 1));
  EXPECT_TRUE(shares.enter("c", 1));
}

TEST(TenantShares, AnotherLimitCountsFromTheNextAndNobodyLosesAPlace) {
  TenantShares shares(4);
  ASSERT_TRUE(shares.enter("a", 4));
  shares.set_limit(8);
  EXPECT_TRUE(shares.enter("a", 4));
  shares.set_limit(2);
  EXPECT_EQ(shares.taken(), 8u);
  shares.leave("a", 6);
  EXPECT_FALSE(shares.enter("a", 1));
  shares.leave("a", 1);
  EXPECT_TRUE(shares.enter("a", 1));
}

TEST(TenantShares, APlaceIsGivenBackOnceAndNothingIsKeptOfWhoLeft) {
  TenantShares shares(8);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(shares.enter("tenant " + std::to_string(i), 8));
    shares.leave("tenant " + std::to_string(i), 8);
  }
  shares.leave("nobody", 3);
  EXPECT_EQ(shares.taken(), 0u);
  EXPECT_TRUE(shares.enter("a", 8));
}

}  // namespace
}  // namespace troupe::test
