// Reports put together to pictures; and a gateway that watches a router through real messages.
#include "services/gateway/picture_book.hpp"

#include <gtest/gtest.h>

#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {
namespace {

wire::ClusterReport part(std::uint64_t number, std::uint32_t at, std::uint32_t of,
                         std::vector<std::string> names) {
  wire::ClusterReport report;
  report.router = {9, 9};
  report.number = number;
  report.part = at;
  report.parts = of;
  for (std::string& name : names) {
    wire::ClusterReport::Row row;
    row.name = std::move(name);
    report.rows.push_back(std::move(row));
  }
  return report;
}

wire::ClusterReport placements(std::vector<wire::ClusterReport::Explanation> told) {
  wire::ClusterReport report;
  report.router = {9, 9};
  report.parts = 0;
  report.placements = std::move(told);
  return report;
}

std::vector<std::string> names(const PictureBook& book) {
  std::vector<std::string> out;
  for (const auto& node : book.picture()->nodes) out.push_back(node.name);
  return out;
}

TEST(PictureBook, APictureIsWholeOrNotThere) {
  PictureBook book;
  EXPECT_FALSE(book.take(part(1, 1, 2, {"b"})));
  EXPECT_TRUE(names(book).empty());
  EXPECT_TRUE(book.take(part(1, 0, 2, {"c", "a"})));
  EXPECT_EQ(names(book), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(PictureBook, PartsOfAnOlderReportAreIgnored) {
  PictureBook book;
  EXPECT_FALSE(book.take(part(1, 0, 2, {"old"})));
  EXPECT_TRUE(book.take(part(2, 0, 1, {"new"})));
  EXPECT_FALSE(book.take(part(1, 1, 2, {"old"})));
  EXPECT_EQ(names(book), (std::vector<std::string>{"new"}));
  EXPECT_FALSE(book.take(part(3, 5, 2, {}))) << "no such part";
  EXPECT_FALSE(book.take(part(3, 0, PictureBook::kMaxParts + 1, {}))) << "nobody has so many";
}

TEST(PictureBook, AnotherRoutersNumbersStartAnew) {
  PictureBook book;
  EXPECT_TRUE(book.take(part(100, 0, 1, {"a"})));
  wire::ClusterReport other = part(1, 0, 1, {"b"});
  other.router = {8, 8};
  EXPECT_TRUE(book.take(other));
  EXPECT_EQ(names(book), (std::vector<std::string>{"b"}));
}

TEST(PictureBook, AChangedPlacementReplacesItsFormerSelf) {
  PictureBook book;
  EXPECT_TRUE(book.take(placements({{{1, 1}, {1}, "{}"}, {{2, 2}, {1}, "{}"}})));
  const auto before = book.picture();
  EXPECT_TRUE(book.take(placements({{{1, 1}, {1}, "{\"took_us\":5}"}})));
  const auto after = book.picture();
  ASSERT_EQ(after->placements.size(), 2u);
  EXPECT_EQ(after->placements[0].what.json, "{\"took_us\":5}");
  EXPECT_GT(after->placements[0].version, before->version);
  EXPECT_LE(after->placements[1].version, before->version) << "it is not told again";
  EXPECT_EQ(before->placements[0].what.json, "{}") << "who reads a picture is not disturbed";
}

TEST(PictureBook, KeepsTheLastPlacements) {
  PictureBook book;
  for (std::uint64_t id = 0; id < 3 * PictureBook::kPlacements; ++id)
    EXPECT_TRUE(book.take(placements({{{id, id}, {1}, "{}"}})));
  ASSERT_EQ(book.picture()->placements.size(), PictureBook::kPlacements);
  EXPECT_EQ(book.picture()->placements.back().what.request.low, 3 * PictureBook::kPlacements - 1);
}

TEST(GatewayState, PublishesPicturesOfItsRouterAlone) {
  std::shared_ptr<const ClusterPicture> seen;
  GatewayOptions options;
  options.node = {1, 1};
  options.router_address = "tcp://router";
  options.other_routers = {"tcp://other"};
  options.on_picture = [&](auto picture) { seen = std::move(picture); };
  GatewayState gateway(options, nullptr, [](const auto&) {});
  actors::Outbox out;
  gateway.watch(out);
  const auto asked = out.take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].to, "tcp://router");
  EXPECT_EQ(wire::unpack<wire::Operate>(asked[0].message)->operation, wire::Operation::report);
  gateway.receive("tcp://stranger", wire::pack(part(1, 0, 1, {"a"})), TimePoint{}, out);
  EXPECT_EQ(seen, nullptr);
  gateway.receive("tcp://router", wire::pack(part(1, 0, 1, {"a"})), TimePoint{}, out);
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->nodes.size(), 1u);
}

}  // namespace
}  // namespace troupe::gateway
