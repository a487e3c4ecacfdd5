#include "services/gateway/time_text.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::rfc3339;
using namespace std::chrono_literals;

std::chrono::system_clock::time_point at(std::chrono::nanoseconds since) {
  return std::chrono::system_clock::time_point(since);
}

TEST(TimeText, IsUtcWithAFractionWhereThereIsOne) {
  EXPECT_EQ(rfc3339(at(0s)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(at(1'700'000'000s)), "2023-11-14T22:13:20Z");
  EXPECT_EQ(rfc3339(at(1'700'000'000s + 5ns)), "2023-11-14T22:13:20.000000005Z");
  EXPECT_EQ(rfc3339(at(-1ns)), "1969-12-31T23:59:59.999999999Z");
}

}  // namespace
}  // namespace troupe::test
