#include "common/transport/refusal_log.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(RefusalLog, SaysEachAddressOnce) {
  RefusalLog log;
  EXPECT_EQ(log.note("10.0.0.1"), RefusalLog::Say::address);
  EXPECT_EQ(log.note("10.0.0.1"), RefusalLog::Say::nothing);
  EXPECT_EQ(log.note("10.0.0.2"), RefusalLog::Say::address);
}

TEST(RefusalLog, FallsSilentAfterSoManyAndSaysSo) {
  RefusalLog log(3);
  EXPECT_EQ(log.note("a"), RefusalLog::Say::address);
  EXPECT_EQ(log.note("b"), RefusalLog::Say::address);
  EXPECT_EQ(log.note("c"), RefusalLog::Say::no_more);
  EXPECT_EQ(log.note("d"), RefusalLog::Say::nothing);
  EXPECT_EQ(log.note("a"), RefusalLog::Say::nothing);
}

}  // namespace
}  // namespace troupe
