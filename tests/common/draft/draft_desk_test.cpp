#include "common/draft/draft_desk.hpp"

#include <gtest/gtest.h>

namespace troupe::draft {
namespace {

using speculation::DraftOrder;
using speculation::SequenceNumber;

DraftOrder order_of(std::uint64_t sequence, std::uint32_t round = 1) {
  DraftOrder order;
  order.sequence = SequenceNumber{sequence};
  order.round = round;
  return order;
}

TEST(DraftDesk, IsClosedUntilSomebodyCanBeAsked) {
  DraftDesk desk(4);
  EXPECT_FALSE(desk.order(order_of(1)));
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1)));
  desk.open(false);
  EXPECT_FALSE(desk.order(order_of(2)));
  EXPECT_EQ(desk.take_orders().orders.size(), 1u);
}

TEST(DraftDesk, KeepsOneOrderAndOneAnswerOfEachSequence) {
  DraftDesk desk(4);
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1, 1)));
  EXPECT_TRUE(desk.order(order_of(1, 2)));
  const auto taken = desk.take_orders();
  ASSERT_EQ(taken.orders.size(), 1u);
  EXPECT_EQ(taken.orders[0].round, 2u);
  desk.put(SequenceNumber{1}, {2, {}, 0, {{7, 1.0F, -1, 0}}});
  desk.put(SequenceNumber{1}, {3, {}, 0, {}});
  EXPECT_EQ(desk.take(SequenceNumber{1})->round, 3u);
  EXPECT_FALSE(desk.take(SequenceNumber{1}).has_value()) << "once";
}

TEST(DraftDesk, IsBoundedAndWhoIsForgottenMakesRoom) {
  DraftDesk desk(2);
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1)));
  EXPECT_TRUE(desk.order(order_of(2)));
  EXPECT_FALSE(desk.order(order_of(3)));
  desk.forget(SequenceNumber{1});
  desk.forget(SequenceNumber{9});
  EXPECT_TRUE(desk.order(order_of(3)));
  const auto taken = desk.take_orders();
  EXPECT_EQ(taken.orders.size(), 2u);
  EXPECT_EQ(taken.forgotten, std::vector<SequenceNumber>{SequenceNumber{1}});
  desk.put(SequenceNumber{1}, {1, {}, 0, {}});
  EXPECT_FALSE(desk.take(SequenceNumber{1}).has_value()) << "an answer to one that is over";
}

TEST(DraftDesk, ANewOrderDropsTheAnswerToTheOldOne) {
  DraftDesk desk(2);
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1)));
  desk.put(SequenceNumber{1}, {1, {}, 0, {}});
  EXPECT_TRUE(desk.order(order_of(1, 2)));
  EXPECT_FALSE(desk.take(SequenceNumber{1}).has_value());
}

TEST(DraftDesk, RingsForWhatLayThereBeforeSomebodyListened) {
  DraftDesk desk(8);
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1)));
  int rung = 0;
  desk.on_orders([&] { ++rung; });
  EXPECT_EQ(rung, 1);
}

TEST(DraftDesk, RingsOnceForAllThatLiesThere) {
  DraftDesk desk(8);
  int rung = 0;
  desk.on_orders([&] { ++rung; });
  desk.open(true);
  EXPECT_TRUE(desk.order(order_of(1)));
  EXPECT_TRUE(desk.order(order_of(2)));
  EXPECT_EQ(rung, 1);
  (void)desk.take_orders();
  desk.forget(SequenceNumber{1});
  EXPECT_EQ(rung, 2);
  desk.on_orders({});
  (void)desk.take_orders();
  EXPECT_TRUE(desk.order(order_of(3)));
  EXPECT_EQ(rung, 2);
}

}  // namespace
}  // namespace troupe::draft
