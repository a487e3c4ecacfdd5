#include "common/backend/limits.hpp"

#include <gtest/gtest.h>

namespace troupe::backend {
namespace {

TEST(LimitProbe, MeasuresBothLimitsOnEveryInstructionSet) {
  for (const Isa isa : supported_isas()) {
    const auto probe = make_cpu_limit_probe({.threads = 2, .isa = isa}, std::size_t{3} << 20);
    ASSERT_TRUE(probe);
    EXPECT_GT((*probe)->read_bandwidth(), 1e7);
    EXPECT_GT((*probe)->multiply_adds(), 1e7);
  }
}

TEST(LimitProbe, RefusesABufferItCannotRead) {
  EXPECT_EQ(make_cpu_limit_probe({.threads = 1}, 0).error().code, Errc::invalid_argument);
  EXPECT_EQ(make_cpu_limit_probe({.threads = 1}, ~std::size_t{0}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace troupe::backend
