#include "services/gateway/batches/line_schedule.hpp"

#include <gtest/gtest.h>

#include <array>

namespace troupe::gateway {
namespace {

const RequestId kAnna{1, 1}, kBen{2, 2};
const TimePoint kNow{std::chrono::hours(1)};

ScheduleOptions few(std::size_t most) {
  ScheduleOptions options;
  options.most_running = most;
  return options;
}

std::vector<std::int64_t> taken(LineSchedule& schedule, TimePoint now = kNow) {
  std::vector<std::int64_t> lines;
  while (const auto line = schedule.next(now)) lines.push_back(line->batch * 100 + line->line);
  return lines;
}

TEST(LineSchedule, RunsSoManyAtATimeInThePlannedOrder) {
  LineSchedule schedule(few(2));
  schedule.add(1, kAnna);
  schedule.plan(1, std::array<std::int64_t, 4>{3, 1, 4, 2});
  EXPECT_EQ(taken(schedule), (std::vector<std::int64_t>{103, 101}));
  EXPECT_EQ(schedule.running(1), 2u);
  EXPECT_EQ(schedule.waiting(1), 2u);
  schedule.ended({1, 101});
  EXPECT_EQ(taken(schedule), (std::vector<std::int64_t>{104}));
  schedule.ended({1, 103});
  schedule.ended({1, 104});
  EXPECT_EQ(taken(schedule), (std::vector<std::int64_t>{102}));
  schedule.ended({1, 102});
  EXPECT_EQ(schedule.running(), 0u);
  EXPECT_EQ(schedule.waiting(), 0u);
}

TEST(LineSchedule, OwnersTakeTurnsHoweverManyBatchesTheyHave) {
  LineSchedule schedule(few(6));
  for (const std::int64_t serial : {1, 2, 3}) {
    schedule.add(serial, serial == 3 ? kBen : kAnna);
    schedule.plan(serial, std::array<std::int64_t, 9>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  const auto lines = taken(schedule);
  EXPECT_EQ(lines, (std::vector<std::int64_t>{101, 301, 102, 302, 103, 303}))
      << "of one owner the earlier batch";
}

TEST(LineSchedule, ARefusedLineRunsAgainFirstAndAfterAPause) {
  LineSchedule schedule(few(4));
  schedule.add(1, kAnna);
  schedule.plan(1, std::array<std::int64_t, 5>{1, 2, 3, 4, 5});
  EXPECT_EQ(taken(schedule).size(), 4u);
  schedule.refused({1, 2}, kNow);
  schedule.refused({1, 1}, kNow);
  EXPECT_EQ(schedule.limit(), 2u) << "that was one refusal: half of four";
  EXPECT_TRUE(taken(schedule).empty());
  schedule.ended({1, 3});
  schedule.ended({1, 4});
  const TimePoint later = schedule.paused_until();
  EXPECT_EQ(later, kNow + ScheduleOptions{}.first_pause);
  EXPECT_TRUE(taken(schedule, later - Duration(1)).empty());
  const auto again = taken(schedule, later);
  ASSERT_GE(again.size(), 2u);
  EXPECT_EQ(again[0], 101);
  EXPECT_EQ(again[1], 102);
}

TEST(LineSchedule, PausesGrowWhileNothingSucceedsAndAreAtLeastWhatWasAskedFor) {
  LineSchedule schedule(few(1));
  schedule.add(1, kAnna);
  schedule.plan(1, std::array<std::int64_t, 1>{1});
  TimePoint now = kNow;
  std::vector<Duration> pauses;
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(schedule.next(now));
    schedule.refused({1, 1}, now);
    pauses.push_back(schedule.paused_until() - now);
    now = schedule.paused_until();
  }
  EXPECT_EQ(pauses[0], ScheduleOptions{}.first_pause);
  EXPECT_EQ(pauses[1], 2 * ScheduleOptions{}.first_pause);
  EXPECT_EQ(pauses.back(), ScheduleOptions{}.longest_pause);
  ASSERT_TRUE(schedule.next(now));
  schedule.refused({1, 1}, now, std::chrono::minutes(1));
  EXPECT_EQ(schedule.paused_until() - now, std::chrono::minutes(1));
  now = schedule.paused_until();
  ASSERT_TRUE(schedule.next(now));
  schedule.ended({1, 1});
  schedule.plan(1, std::array<std::int64_t, 1>{2});
  ASSERT_TRUE(schedule.next(now));
  schedule.refused({1, 2}, now);
  EXPECT_EQ(schedule.paused_until() - now, ScheduleOptions{}.first_pause) << "a success begins anew";
}

TEST(LineSchedule, SuccessLetsMoreRunAgain) {
  LineSchedule schedule(few(8));
  schedule.add(1, kAnna);
  std::vector<std::int64_t> many(200);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int64_t>(i);
  schedule.plan(1, many);
  ASSERT_TRUE(schedule.next(kNow));
  schedule.refused({1, 0}, kNow);
  EXPECT_EQ(schedule.limit(), 4u);
  const TimePoint later = schedule.paused_until();
  for (int i = 0; i < 100; ++i) {
    const auto line = schedule.next(later);
    ASSERT_TRUE(line);
    schedule.ended(*line);
  }
  EXPECT_EQ(schedule.limit(), 8u);
}

TEST(LineSchedule, ARemovedBatchBeginsNothingAndIsGoneWithItsLastLine) {
  LineSchedule schedule(few(2));
  schedule.add(1, kAnna);
  schedule.plan(1, std::array<std::int64_t, 4>{1, 2, 3, 4});
  EXPECT_EQ(taken(schedule).size(), 2u);
  schedule.remove(1);
  schedule.ended({1, 1});
  EXPECT_TRUE(taken(schedule).empty());
  schedule.refused({1, 2}, kNow);
  EXPECT_EQ(schedule.running(), 0u);
  EXPECT_EQ(schedule.waiting(), 0u);
  schedule.plan(1, std::array<std::int64_t, 1>{5});
  EXPECT_EQ(schedule.waiting(), 0u);
  schedule.ended({1, 2});
  EXPECT_EQ(schedule.running(), 0u) << "what is unknown ends nothing";
}

}  // namespace
}  // namespace troupe::gateway
