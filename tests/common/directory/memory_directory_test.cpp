// The table's bounds, under a clock that a test moves.
#include <gtest/gtest.h>

#include "common/directory/memory_directory.hpp"

namespace troupe::test {
namespace {

using directory::MemoryDirectory;
using namespace std::chrono_literals;

TEST(MemoryDirectory, WhatHasEndedTakesNoRoom) {
  ManualClock clock;
  MemoryDirectory table(clock, 100);
  table.set({"a", 10s}, std::string(50, 'a'));
  EXPECT_EQ(table.bytes(), 51u);
  clock.advance(10s - 1ns);
  EXPECT_TRUE(table.find("a").has_value());
  clock.advance(1ns);
  EXPECT_EQ(table.find("a"), std::nullopt);
  EXPECT_EQ(table.bytes(), 0u);
}

TEST(MemoryDirectory, OverItsBoundWhatEndsSoonestGoesFirst) {
  ManualClock clock;
  MemoryDirectory table(clock, 100);
  table.set({"a", 30s}, std::string(39, 'a'));
  table.set({"b", 10s}, std::string(39, 'b'));
  table.set({"c", 20s}, std::string(39, 'c'));
  EXPECT_TRUE(table.find("a"));
  EXPECT_FALSE(table.find("b"));
  EXPECT_TRUE(table.find("c"));
  EXPECT_LE(table.bytes(), 100u);
}

TEST(MemoryDirectory, AValueLargerThanTheBoundIsNotKeptAndPushesNothingOut) {
  ManualClock clock;
  MemoryDirectory table(clock, 100);
  table.set({"a", 10s}, "1");
  table.set({"big", 10s}, std::string(200, 'x'));
  EXPECT_FALSE(table.find("big"));
  EXPECT_EQ(table.find("a"), "1");
}

TEST(MemoryDirectory, AValueSetAgainGetsItsNewTimeAndSize) {
  ManualClock clock;
  MemoryDirectory table(clock, 100);
  table.set({"a", 10s}, std::string(60, 'a'));
  clock.advance(8s);
  table.set({"a", 10s}, std::string(80, 'b'));
  EXPECT_EQ(table.bytes(), 81u);
  clock.advance(8s);
  EXPECT_TRUE(table.find("a"));
}

}  // namespace
}  // namespace troupe::test
