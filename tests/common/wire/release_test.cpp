#include "common/wire/release.hpp"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "common/wire/messages.hpp"

namespace troupe::wire {
namespace {

Release of(std::uint16_t revision, std::uint16_t oldest) {
  return {"0." + std::to_string(revision) + ".0", revision, oldest};
}

TEST(Release, NeighboursServeTogetherWhicheverIsNewer) {
  EXPECT_TRUE(check_neighbours(of(5, 4), of(5, 4)));
  EXPECT_TRUE(check_neighbours(of(5, 4), of(4, 3)));
  EXPECT_TRUE(check_neighbours(of(4, 3), of(5, 4)));
}

TEST(Release, TwoStepsApartIsRefusedAndBothAreNamed) {
  for (const auto& [one, other] : {std::pair{of(3, 2), of(5, 4)}, std::pair{of(5, 4), of(3, 2)}}) {
    const auto fits = check_neighbours(one, other);
    ASSERT_FALSE(fits);
    EXPECT_EQ(fits.error().code, Errc::wire_version);
    EXPECT_NE(fits.error().detail.find("release 0.3.0 (wire revision 3)"), std::string::npos)
        << fits.error().detail;
    EXPECT_NE(fits.error().detail.find("release 0.5.0 (wire revision 5)"), std::string::npos);
    EXPECT_NE(fits.error().detail.find("one release at a time"), std::string::npos);
  }
}

TEST(Release, TheOlderOneMayBeServedThoughItKnowsNothingOfTheNewer) {
  EXPECT_TRUE(check_neighbours(of(5, 2), of(5, 5))) << "the same revision";
  EXPECT_FALSE(check_neighbours(of(5, 5), of(4, 3))) << "a release may give its neighbour up";
}

TEST(Release, WhoDoesNotTellIsOfTheFirstRevision) {
  EXPECT_EQ(Release{}.revision, 1);
  EXPECT_NE(to_string(Release{}).find("does not tell"), std::string::npos);
  EXPECT_EQ(to_string(of(2, 1)), "release 0.2.0 (wire revision 2)");
}

TEST(Release, ThisOneServesWithItsNeighbour) {
  EXPECT_EQ(own_release().revision, kRevision);
  EXPECT_LE(kOldestRevision, kRevision);
  EXPECT_GE(kOldestRevision + 1, kRevision) << "older ones than the neighbour are not served";
  EXPECT_FALSE(own_release().version.empty());
  EXPECT_TRUE(check_neighbours(own_release(), own_release()));
}

/// The bytes that a release of the first revision sent.
std::vector<std::uint8_t> golden(const std::string& name) {
  std::ifstream file("tests/golden/wire/" + name);
  std::string digits;
  for (std::string line; std::getline(file, line);) digits += line;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(Release, AJoinOfBeforeReleasesWereToldIsReadAsThat) {
  const auto join = decode<Join>(golden("Join.v3.hex"));
  ASSERT_TRUE(join) << to_string(join.error());
  EXPECT_EQ(join->release, Release{});
  const auto reply = decode<JoinReply>(golden("JoinReply.v2.hex"));
  ASSERT_TRUE(reply) << to_string(reply.error());
  EXPECT_EQ(reply->release, Release{});
}

TEST(Release, ItTravelsWithAJoin) {
  Join join;
  join.release = of(7, 6);
  EXPECT_EQ(unpack<Join>(pack(join))->release, of(7, 6));
}

}  // namespace
}  // namespace troupe::wire
