// Placing without a router, by the rule alone; and the tables that feed it.
#include "services/gateway/last_view.hpp"

#include <gtest/gtest.h>

#include <map>

#include "services/router/worker_tables.hpp"

namespace troupe::test {
namespace {

using gateway::LastView;
using router::ClusterView;
using router::WorkerTables;
using namespace std::chrono_literals;

wire::WorkerTable::Row worker(std::uint64_t id, wire::Role role = wire::Role::decode, std::string name = {}) {
  if (name.empty()) name = std::string("w").append(std::to_string(id));
  return {{id, id}, role, name, std::string("tcp://").append(name), std::string("tcp://data-").append(name),
          {"m"}};
}

wire::WorkerTable table(std::uint64_t router, std::uint64_t number,
                        std::vector<wire::WorkerTable::Row> rows) {
  return {{router, router}, number, 0, 1, std::move(rows)};
}

struct View : LastView {
  std::map<NodeId, std::uint32_t> loads;
  std::vector<NodeId> avoid;
  std::uint64_t placed(const std::string& model = "m") {
    const auto placement = place({{}, {}, model, avoid, [&](const NodeId& node) { return loads[node]; }});
    return placement ? placement->decode.high : 0;
  }
};

TEST(LastView, KnowsNobodyUntilItIsTold) {
  View view;
  EXPECT_EQ(view.placed(), 0u);
  EXPECT_EQ(view.decoders("m"), 0u);
}

TEST(LastView, TakesTheLeastLoadedInTurnAmongEquals) {
  View view;
  view.take(table(1, 1, {worker(1), worker(2), worker(3), worker(9, wire::Role::prefill)}));
  view.loads = {{{1, 1}, 1}};
  std::map<std::uint64_t, int> count;
  for (int i = 0; i < 10; ++i) ++count[view.placed()];
  EXPECT_EQ(count, (std::map<std::uint64_t, int>{{2, 5}, {3, 5}}));
  EXPECT_EQ(view.placed("other"), 0u);
}

TEST(LastView, WhatFailedOrIsNotThereComesLast) {
  View view;
  view.take(table(1, 1, {worker(1), worker(2), worker(3)}));
  view.loads = {{{3, 3}, 100}};
  view.avoid = {{1, 1}};
  view.unreachable("tcp://w2");
  EXPECT_EQ(view.placed(), 3u);
  view.avoid.push_back({3, 3});
  EXPECT_EQ(view.placed(), 2u) << "one that may be back before one that failed";
  EXPECT_EQ(view.decoders("m"), 2u);
  view.take(table(1, 2, {worker(1), worker(2)}));
  EXPECT_EQ(view.decoders("m"), 2u) << "a table names it again";
  view.gone({2, 2});
  EXPECT_EQ(view.decoders("m"), 1u);
}

TEST(LastView, ANewRoutersFewWorkersStandBesideTheOldOnesUntilThoseAreForgotten) {
  View view;
  view.take(table(1, 5, {worker(1), worker(2)}));
  view.take(table(2, 1, {}));
  EXPECT_EQ(view.decoders("m"), 2u);
  view.take(table(2, 2, {worker(7, wire::Role::decode, "w1")}));
  EXPECT_EQ(view.decoders("m"), 2u) << "a worker that started again replaces itself";
  view.forget_older();
  EXPECT_EQ(view.placed(), 7u);
  EXPECT_EQ(view.decoders("m"), 1u);
}

TEST(LastView, ATableCountsWhenItsLastPartIsThere) {
  View view;
  auto first = table(1, 1, {worker(1)});
  auto second = table(1, 1, {worker(2)});
  first.parts = second.parts = 2;
  second.part = 1;
  view.take(second);
  EXPECT_EQ(view.decoders("m"), 0u);
  view.take(first);
  EXPECT_EQ(view.decoders("m"), 2u);
  auto older = table(1, 0, {});
  view.take(older);
  EXPECT_EQ(view.decoders("m"), 2u);
  auto broken = table(1, 9, {});
  broken.parts = 0;
  view.take(broken);
  EXPECT_EQ(view.decoders("m"), 2u);
}

TEST(WorkerTables, AreNewOnlyWhenTheReadyWorkersChangeAndFitTheirMessages) {
  ClusterView view(2s, 30s, 1024);
  WorkerTables tables({1, 1});
  EXPECT_TRUE(tables.update(view));
  EXPECT_FALSE(tables.update(view));
  const TimePoint now{1h};
  for (std::uint64_t i = 1; i <= 200; ++i) {
    wire::Join join;
    join.node = {i, i};
    join.role = i == 200 ? wire::Role::gateway : wire::Role::decode;
    join.name = "decode-with-a-rather-long-name-" + std::to_string(i);
    join.control_address = "tcp://some-host.some-domain.example:" + std::to_string(7000 + i);
    join.data_address = "tcp://some-host.some-domain.example:" + std::to_string(9000 + i);
    join.models = {{"smollm2-135m-instruct", {1, 1}, 8192, 30, 49152, "n"}};
    ASSERT_TRUE(view.join(join, now));
  }
  EXPECT_TRUE(tables.update(view));
  LastView last;
  for (const wire::WorkerTable& part : tables.parts()) {
    EXPECT_LE(wire::encode(part).size(), wire::kMaxControlBytes);
    last.take(part);
  }
  EXPECT_EQ(last.decoders("smollm2-135m-instruct"), 199u);
  wire::Heartbeat beat;
  beat.node = {1, 1};
  ASSERT_TRUE(view.beat(beat, now));
  EXPECT_FALSE(tables.update(view));
  beat.draining = true;
  ASSERT_TRUE(view.beat(beat, now));
  EXPECT_TRUE(tables.update(view));
}

}  // namespace
}  // namespace troupe::test
