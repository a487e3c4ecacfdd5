#include "services/gateway/request_log.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;
const TimePoint kStart{1h};

RequestLog::Arrival arrival(std::uint64_t id) {
  return {{id, id}, "m", true, true, kStart + 10ms, 30};
}

TEST(RequestLog, FollowsARequestThroughItsStages) {
  RequestLog log(10, kStart);
  log.prepared(arrival(1), kStart + 12ms);
  log.placed({1, 1}, "decode-0", "prefill-0", kStart + 13ms);
  log.started({1, 1}, 16, kStart + 50ms);
  log.tokens({1, 1}, 2, kStart + 60ms);
  log.ended({1, 1}, 200, 9, kStart + 90ms);
  std::uint64_t change = 0;
  const auto rows = log.changed_since(change, 10);
  ASSERT_EQ(rows.size(), 1u) << "one row, whatever happened to it";
  const RequestRow& row = rows[0];
  EXPECT_DOUBLE_EQ(row.arrived, 10);
  EXPECT_DOUBLE_EQ(row.prepared, 12);
  EXPECT_DOUBLE_EQ(row.placed, 13);
  EXPECT_DOUBLE_EQ(row.started, 50);
  EXPECT_DOUBLE_EQ(row.ended, 90);
  EXPECT_EQ(row.cached_tokens, 16u);
  EXPECT_EQ(row.completion_tokens, 9u);
  EXPECT_EQ(row.prefill, "prefill-0");
  EXPECT_TRUE(log.changed_since(change, 10).empty());
}

TEST(RequestLog, AReplayIsCountedAndLeavesTheFirstTimesAsTheyWere) {
  RequestLog log(10, kStart);
  log.prepared(arrival(1), kStart + 12ms);
  log.placed({1, 1}, "decode-0", "", kStart + 13ms);
  log.started({1, 1}, 0, kStart + 50ms);
  log.placed({1, 1}, "decode-1", "", kStart + 70ms);
  log.started({1, 1}, 32, kStart + 80ms);
  std::uint64_t change = 0;
  const auto row = log.changed_since(change, 10).at(0);
  EXPECT_EQ(row.placements, 2u);
  EXPECT_EQ(row.decode, "decode-1");
  EXPECT_DOUBLE_EQ(row.placed, 13);
  EXPECT_DOUBLE_EQ(row.started, 50);
}

TEST(RequestLog, KeepsTheLastOnesOnly) {
  RequestLog log(3, kStart);
  for (std::uint64_t id = 1; id <= 5; ++id) log.prepared(arrival(id), kStart);
  log.ended({1, 1}, 200, 1, kStart);  // forgotten long ago
  std::uint64_t change = 0;
  const auto rows = log.changed_since(change, 10);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].number, 3u);
  log.ended({4, 4}, 200, 1, kStart);
  const auto changed = log.changed_since(change, 10);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].number, 4u);
}

TEST(RequestLog, ALongBacklogComesInPiecesWithoutGapsOrRepeats) {
  RequestLog log(100, kStart);
  for (std::uint64_t id = 1; id <= 25; ++id) log.prepared(arrival(id), kStart);
  std::uint64_t change = 0, expected = 1;
  for (auto rows = log.changed_since(change, 10); !rows.empty(); rows = log.changed_since(change, 10))
    for (const auto& row : rows) EXPECT_EQ(row.number, expected++);
  EXPECT_EQ(expected, 26u);
}

TEST(RequestLog, CountingTokensIsNewsOnlyNowAndThen) {
  RequestLog log(10, kStart);
  log.prepared(arrival(1), kStart);
  log.tokens({1, 1}, 1, kStart + 300ms);
  std::uint64_t change = 0;
  EXPECT_EQ(log.changed_since(change, 10).at(0).completion_tokens, 1u);
  log.tokens({1, 1}, 1, kStart + 310ms);
  EXPECT_TRUE(log.changed_since(change, 10).empty());
  log.tokens({1, 1}, 1, kStart + 600ms);
  EXPECT_EQ(log.changed_since(change, 10).at(0).completion_tokens, 3u) << "none is lost";
}

TEST(RequestLog, ARowIsAnArrayInTheOrderOfItsColumnsWithAShortId) {
  RequestRow row;
  row.number = 7;
  row.id = {0x0123456789abcdefULL, 0x1111111111111111ULL};
  row.model = "a\"b";
  row.arrived = 1.26;
  row.status = 200;
  row.placements = 2;
  std::string text;
  append_row(text, row);
  const auto json = nlohmann::json::parse(text);
  ASSERT_EQ(json.size(), kRowColumns.size());
  EXPECT_EQ(json[0], 7);
  EXPECT_EQ(json[1], "01234567") << "who knows a whole id may ask for its stream";
  EXPECT_EQ(json[2], "a\"b");
  EXPECT_EQ(json[5], 1.3);
  EXPECT_EQ(json[6], -1);
  EXPECT_EQ(json[15], 2);
  EXPECT_EQ(json[16], 200);
}

}  // namespace
}  // namespace troupe::gateway
