#include "common/engine/schedule/admission.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Queue = std::vector<Standing>;

TEST(Admission, NobodyWaits) { EXPECT_FALSE(next_admission({}, 1).has_value()); }

TEST(Admission, PriorityThenPreemptedThenTheLeastServedTenantThenTheOldest) {
  EXPECT_EQ(next_admission(Queue{{.priority = 0, .arrival = 1}, {.priority = 1, .arrival = 2}}, 9), 1u);
  EXPECT_EQ(next_admission(Queue{{.arrival = 1}, {.arrival = 2, .preempted = true}}, 9), 1u);
  EXPECT_EQ(next_admission(Queue{{.arrival = 1, .tenant_counter = 5}, {.arrival = 2, .tenant_counter = 4}}, 9), 1u);
  EXPECT_EQ(next_admission(Queue{{.arrival = 2, .preempted = true, .tenant_counter = 4}, {.arrival = 1, .preempted = true, .tenant_counter = 5}}, 9), 1u);
  EXPECT_EQ(next_admission(Queue{{.arrival = 2}, {.arrival = 1}}, 9), 1u);
}

TEST(Admission, WhoWasOvertakenTooOftenGoesFirst) {
  EXPECT_EQ(next_admission(Queue{{.priority = 9, .arrival = 1}, {.priority = -9, .arrival = 3, .overtaken = 4},
                                 {.priority = -9, .arrival = 2, .overtaken = 4}}, 4), 2u);
}

TEST(Admission, NobodyIsEverOvertakenMoreOftenThanTheBound) {
  for (const std::uint32_t bound : {0u, 1u, 7u, 40u}) {
    std::mt19937_64 random(bound);
    Queue queue;
    std::uint64_t arrivals = 0;
    std::uint32_t most = 0, admitted = 0;
    for (int round = 0; round < 4000; ++round) {
      for (std::uint64_t n = random() % 3; n > 0 && queue.size() < 200; --n)
        queue.push_back({.priority = static_cast<std::int32_t>(random() % 5), .arrival = arrivals++, .tenant_counter = static_cast<double>(random() % 100)});
      if (queue.empty()) continue;
      const std::size_t next = *next_admission(queue, bound);
      const Standing one = queue[next];
      queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(next));
      admitted += 1;
      most = std::max(most, one.overtaken);
      for (Standing& other : queue)
        if (other.arrival < one.arrival) other.overtaken += 1;
    }
    for (const Standing& other : queue) most = std::max(most, other.overtaken);
    EXPECT_LE(most, bound);
    EXPECT_GT(admitted, 2000u);
  }
}

TEST(Admission, RankIsATotalOrder) {
  std::mt19937_64 random(5);
  Queue all;
  for (std::uint64_t i = 0; i < 60; ++i)
    all.push_back({.priority = static_cast<std::int32_t>(random() % 3), .arrival = i, .preempted = random() % 2 == 0,
                   .tenant_counter = 0, .overtaken = static_cast<std::uint32_t>(random() % 6)});
  std::shuffle(all.begin(), all.end(), random);
  for (const Standing& a : all) {
    EXPECT_FALSE(outranks(a, a, 4));
    for (const Standing& b : all) {
      if (a.arrival != b.arrival) {
        EXPECT_NE(outranks(a, b, 4), outranks(b, a, 4));
      }
      for (const Standing& c : all)
        if (outranks(a, b, 4) && outranks(b, c, 4)) {
          EXPECT_TRUE(outranks(a, c, 4));
        }
    }
  }
}

}  // namespace
}  // namespace troupe::engine
