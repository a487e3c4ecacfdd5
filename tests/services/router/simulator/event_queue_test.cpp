#include "services/router/simulator/event_queue.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

TEST(EventQueue, GoesByTimeAndThenByOrderOfAsking) {
  EventQueue queue;
  std::string order;
  queue.after(2s, [&] { order += 'c'; });
  queue.after(1s, [&] {
    order += 'a';
    queue.after(0s, [&] { order += 'b'; });
  });
  queue.after(2s, [&] { order += 'd'; });
  const TimePoint begin = queue.now();
  while (queue.step()) {
  }
  EXPECT_EQ(order, "abcd");
  EXPECT_EQ(queue.now() - begin, Duration(2s));
}

}  // namespace
}  // namespace troupe::router
