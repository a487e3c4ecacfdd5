#include "common/metrics/buckets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace troupe::metrics {
namespace {

TEST(Buckets, AscendStrictly) {
  for (const auto* bounds : {&latency_buckets(), &step_buckets(), &size_buckets(), &count_buckets()})
    EXPECT_TRUE(std::is_sorted(bounds->begin(), bounds->end(), std::less_equal<>()));
}

TEST(Buckets, CoverWhatTheySay) {
  EXPECT_EQ(latency_buckets().back(), 120);
  EXPECT_EQ(size_buckets().back(), 4294967296.0);
  EXPECT_EQ(count_buckets().back(), 131072);
}

}  // namespace
}  // namespace troupe::metrics
