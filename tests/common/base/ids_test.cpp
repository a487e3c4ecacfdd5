#include "common/base/ids.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Id128, RoundTripsThroughHex) {
  const RequestId id{0x0123456789abcdefULL, 0xfedcba9876543210ULL};
  EXPECT_EQ(to_hex(id), "0123456789abcdeffedcba9876543210");
  EXPECT_EQ(id_from_hex<RequestId>(to_hex(id)).value(), id);
}

TEST(Id128, RefusesWhatIsNotHex) {
  EXPECT_FALSE(id_from_hex<RequestId>("0123").has_value());
  EXPECT_FALSE(id_from_hex<RequestId>("g123456789abcdeffedcba9876543210").has_value());
}

TEST(Id128, TwoRandomIdsDiffer) { EXPECT_NE(random_id<RequestId>(), random_id<RequestId>()); }

TEST(StrongId, IsOrderedByItsValue) { EXPECT_LT(Epoch{1}, Epoch{2}); }

}  // namespace
}  // namespace troupe
