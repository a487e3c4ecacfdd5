#include "services/router/suspects.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;
const NodeId kA{1, 1}, kB{2, 2}, kC{3, 3};

TEST(Suspects, OneThatStaysAwayIsDeadOnce) {
  Suspects suspects(500ms);
  const TimePoint start{};
  suspects.lost(kA, "decode-0", start);
  EXPECT_TRUE(suspects.dead(start + 499ms).empty());
  EXPECT_EQ(suspects.dead(start + 500ms), std::vector<NodeId>{kA});
  EXPECT_TRUE(suspects.dead(start + 10s).empty());
}

TEST(Suspects, OneThatJoinsAgainWasOnlyCutOff) {
  Suspects suspects(500ms);
  suspects.lost(kA, "decode-0", TimePoint{});
  EXPECT_TRUE(suspects.joined(kA, "decode-0").empty());
  EXPECT_TRUE(suspects.dead(TimePoint{} + 10s).empty());
}

TEST(Suspects, OneWhoseNameAnotherProcessTakesIsDeadAtOnce) {
  Suspects suspects(500ms);
  suspects.lost(kA, "decode-0", TimePoint{});
  suspects.lost(kB, "decode-1", TimePoint{});
  EXPECT_EQ(suspects.joined(kC, "decode-0"), std::vector<NodeId>{kA});
  EXPECT_EQ(suspects.dead(TimePoint{} + 10s), std::vector<NodeId>{kB});
}

}  // namespace
}  // namespace troupe::router
