#include "services/gateway/api_words.hpp"

#include <array>

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::ApiError;
using gateway::Renamed;

TEST(ApiWords, EveryNameInMessageAndParamIsReplacedInOrder) {
  constexpr std::array<Renamed, 2> kNames{Renamed{"a.b.c", "x"}, Renamed{"a.", "aa."}};
  const ApiError renamed = rename(ApiError{400, "code a.", "a.b.c", "a.b.c and a.b, a.b.c", 3}, kNames);
  EXPECT_EQ(renamed.message, "x and aa.b, x");
  EXPECT_EQ(renamed.param, "x");
  EXPECT_EQ(renamed.code, "code a.");
  EXPECT_EQ(renamed.retry_after_seconds, 3);
}

}  // namespace
}  // namespace troupe::test
