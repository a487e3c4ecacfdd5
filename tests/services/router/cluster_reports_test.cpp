// What gateways with an open dashboard are told, and that nobody else is.
#include "services/router/cluster_reports.hpp"

#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

std::vector<wire::ClusterReport> reports(const std::vector<actors::Outgoing>& out, const std::string& to) {
  std::vector<wire::ClusterReport> found;
  for (const auto& one : out)
    if (one.to == to)
      if (auto report = wire::unpack<wire::ClusterReport>(one.message)) found.push_back(std::move(*report));
  return found;
}

struct WatchedRig : Rig {
  void ask() { (void)send("tcp://n50", wire::Operate{{50, 50}, wire::Operation::report}); }
  std::vector<actors::Outgoing> tick(Duration later = 400ms) {
    clock.advance(later);
    actors::Outbox out;
    state->tick(clock.now(), out);
    return out.take();
  }
};

TEST(ClusterReports, SayWhoIsThereAndHowFull) {
  WatchedRig rig;
  rig.join(50, wire::Role::gateway);
  rig.join(1, wire::Role::decode);
  rig.beat(1, 3, 8, 77);
  EXPECT_TRUE(reports(rig.tick(), "tcp://n50").empty()) << "nobody looks";
  rig.ask();
  const auto told = reports(rig.tick(), "tcp://n50");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].parts, 1u);
  ASSERT_EQ(told[0].rows.size(), 2u);
  const auto& worker = told[0].rows[0].role == wire::Role::decode ? told[0].rows[0] : told[0].rows[1];
  EXPECT_EQ(worker.name, "n1");
  EXPECT_EQ(worker.silent_ms, 800u);
  ASSERT_EQ(worker.loads.size(), 1u);
  EXPECT_EQ(worker.loads[0].model, "m");
  EXPECT_EQ(worker.loads[0].running, 3u);
  EXPECT_EQ(worker.loads[0].queued_prompt_tokens, 77u);
}

TEST(ClusterReports, EndWhenNobodyAsksAnyMore) {
  WatchedRig rig;
  rig.join(50, wire::Role::gateway);
  rig.ask();
  EXPECT_FALSE(reports(rig.tick(1900ms), "tcp://n50").empty());
  EXPECT_TRUE(reports(rig.tick(200ms), "tcp://n50").empty());
}

TEST(ClusterReports, TellEachPlacementOnceAndAgainWhenItsFirstTokenCame) {
  WatchedRig rig;
  rig.join(50, wire::Role::gateway);
  rig.join(1, wire::Role::decode);
  rig.beat(1);
  (void)rig.place(7, 100);
  rig.ask();
  auto told = reports(rig.tick(), "tcp://n50");
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1].parts, 0u) << "no part of the nodes";
  ASSERT_EQ(told[1].placements.size(), 1u);
  EXPECT_EQ(told[1].placements[0].request, (RequestId{7, 7}));
  EXPECT_NE(told[1].placements[0].json.find("\"decode\":\"n1\""), std::string::npos);
  rig.ask();
  EXPECT_EQ(reports(rig.tick(), "tcp://n50").size(), 1u) << "it knows that placement";
  rig.beat(1);
  rig.started(7, 5000);
  rig.ask();
  told = reports(rig.tick(), "tcp://n50");
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[1].placements.at(0).json.find("\"took_us\":5000"), std::string::npos);
}

TEST(ClusterReports, OfALargeClusterComeInPartsThatFitAMessage) {
  ClusterView view(1h, 1h, 2000);
  const TimePoint now{1h};
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    wire::Join join;
    join.node = {id, id};
    join.name = "worker-" + std::to_string(id);
    join.control_address = "tcp://10.0.0.1:" + std::to_string(id);
    ASSERT_TRUE(view.join(join, now));
  }
  ClusterReports reports({9, 9});
  reports.ask("tcp://gateway", now);
  actors::Outbox out;
  reports.tell(view, PlacementLog(4), now, out);
  std::size_t rows = 0;
  std::uint32_t parts = 0;
  for (const auto& one : out.take()) {
    EXPECT_LT(one.message.payload.size(), wire::kMaxControlBytes);
    const auto report = wire::unpack<wire::ClusterReport>(one.message);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->part, parts++);
    rows += report->rows.size();
  }
  EXPECT_EQ(rows, 1000u);
  EXPECT_GT(parts, 1u);
}

TEST(ClusterReports, OneWatcherTooManyIsToldNothing) {
  ClusterReports reports({9, 9});
  const TimePoint now{1h};
  for (std::size_t i = 0; i <= ClusterReports::kMaxWatchers; ++i)
    reports.ask("tcp://gateway-" + std::to_string(i), now);
  actors::Outbox out;
  reports.tell(ClusterView(1h, 1h, 8), PlacementLog(4), now, out);
  EXPECT_EQ(out.take().size(), ClusterReports::kMaxWatchers);
}

}  // namespace
}  // namespace troupe::router
