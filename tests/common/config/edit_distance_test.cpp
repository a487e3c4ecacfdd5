#include "common/config/edit_distance.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace troupe {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("prot", "port"), 1U);  // one swap
  EXPECT_EQ(edit_distance("port", "port"), 0U);
}

TEST(EditDistance, IsSymmetric) {
  EXPECT_EQ(edit_distance("engine.treads", "engine.threads"),
            edit_distance("engine.threads", "engine.treads"));
}

TEST(EditDistance, CutsHugeNames) {
  EXPECT_EQ(edit_distance(std::string(100'000, 'a'), std::string(100'000, 'b')), 128U);
}

TEST(NearestName, TakesTheSmallestDistance) {
  const std::vector<std::string> names{"http.host", "http.port", "log.level"};
  EXPECT_EQ(nearest_name("http.prt", names), "http.port");
  EXPECT_EQ(did_you_mean("log.levl", names), "; did you mean log.level?");
}

TEST(NearestName, IsSilentWhenNothingIsNear) {
  const std::vector<std::string> names{"http.host"};
  EXPECT_EQ(nearest_name("zzzzzzzzz", names), "");
  EXPECT_EQ(did_you_mean("zzzzzzzzz", names), "");
}

}  // namespace
}  // namespace troupe
