#include "common/kv_events/event_log.hpp"

#include <gtest/gtest.h>

namespace troupe::kv_events {
namespace {

std::vector<std::uint64_t> numbers(const std::vector<LogEntry>& entries) {
  std::vector<std::uint64_t> out;
  for (const LogEntry& entry : entries) out.push_back(entry.sequence);
  return out;
}

TEST(EventLog, NumbersFromZeroAndReplaysWhatItKeeps) {
  EventLog log(3);
  for (std::uint8_t i = 0; i < 5; ++i) EXPECT_EQ(log.append({i}).sequence, i);
  EXPECT_EQ(numbers(log.since(0)), (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(numbers(log.since(4)), (std::vector<std::uint64_t>{4}));
  EXPECT_TRUE(log.since(5).empty());
  EXPECT_TRUE(log.since(UINT64_MAX).empty());
  EXPECT_EQ(*log.since(3)[0].payload, std::vector<std::uint8_t>{3});
}

TEST(EventLog, KeepsItsBytes) {
  EventLog log(1000, 100);
  for (int i = 0; i < 50; ++i) (void)log.append(std::vector<std::uint8_t>(30));
  EXPECT_EQ(log.bytes(), 90u);
  EXPECT_EQ(numbers(log.since(0)), (std::vector<std::uint64_t>{47, 48, 49}));
  EXPECT_EQ(log.append(std::vector<std::uint8_t>(101)).sequence, 50u) << "too large to keep, yet sent";
  EXPECT_TRUE(log.since(0).empty());
}

}  // namespace
}  // namespace troupe::kv_events
