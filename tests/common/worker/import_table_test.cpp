#include "common/worker/import_table.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

const RequestId kRequest{1, 2};
const ModelId kModel{3, 4};

wire::KvFrame frame(LeaseId lease, RequestId request = kRequest, Epoch epoch = {7}, ModelId model = kModel) {
  wire::KvFrame out;
  out.request = request;
  out.epoch = epoch;
  out.model = model;
  out.lease = lease;
  return out;
}

TEST(ImportTable, TakesTheFramesOfAReservationUntilItEnds) {
  ImportTable table;
  EXPECT_FALSE(table.find(frame({11})).has_value());
  table.expect({{kRequest, {7}, {11}}, 2, {5, 5}, kModel});
  const auto found = table.find(frame({11}));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->engine, 2u);
  EXPECT_EQ(found->engine_id, (RequestId{5, 5}));
  table.forget({11});
  EXPECT_FALSE(table.find(frame({11})).has_value());
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.stale(), 2u);
}

TEST(ImportTable, RefusesALateFrameOfAnEarlierReservationOfTheSameRequestAndEpoch) {
  ImportTable table;
  table.expect({{kRequest, {7}, {11}}, 0, {5, 5}, kModel});
  table.forget({11});
  table.expect({{kRequest, {7}, {12}}, 0, {6, 6}, kModel});  // its pages may be the very same
  EXPECT_FALSE(table.find(frame({11})).has_value());
  EXPECT_FALSE(table.find(frame({})).has_value()) << "a sender that knows no leases";
  EXPECT_EQ(table.find(frame({12}))->engine_id, (RequestId{6, 6}));
}

TEST(ImportTable, RefusesAFrameWhoseOtherNamesDiffer) {
  ImportTable table;
  table.expect({{kRequest, {7}, {11}}, 0, {5, 5}, kModel});
  EXPECT_FALSE(table.find(frame({11}, {9, 9})).has_value());
  EXPECT_FALSE(table.find(frame({11}, kRequest, {8})).has_value());
  EXPECT_FALSE(table.find(frame({11}, kRequest, {7}, {9, 9})).has_value());
  EXPECT_EQ(table.stale(), 3u);
}

}  // namespace
}  // namespace troupe::worker
