#include "common/prefix_index/holder_pool.hpp"

#include <set>

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(HolderPool, ArraysDoNotOverlapAndFreedOnesServeAgain) {
  HolderPool pool(1 << 20);
  std::set<std::uint16_t*> arrays;
  for (int i = 0; i < 5000; ++i) {
    const auto handle = pool.allocate(0);
    ASSERT_TRUE(handle);
    std::uint16_t* const array = pool.at(0, *handle);
    const auto next = arrays.lower_bound(array);
    if (next != arrays.end()) {
      EXPECT_TRUE(std::less_equal<>{}(array + 8, *next));
    }
    arrays.insert(array);
  }
  const std::size_t bytes = pool.bytes();
  for (std::uint32_t handle = 0; handle < 5000; ++handle) pool.release(0, handle);
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(arrays.contains(pool.at(0, *pool.allocate(0))));
  EXPECT_EQ(pool.bytes(), bytes);
}

TEST(HolderPool, KeepsItsLimit) {
  HolderPool pool(3 * 65536);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(pool.allocate(11));  // two of the largest fill a chunk
  EXPECT_FALSE(pool.allocate(11));
  EXPECT_FALSE(pool.allocate(0));
  EXPECT_EQ(pool.bytes(), 3u * 65536);
  pool.release(11, 2);
  EXPECT_EQ(pool.allocate(11), 2u);
}

}  // namespace
}  // namespace troupe
