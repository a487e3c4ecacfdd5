#include "services/cli/top/cluster_watch.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace troupe::cli::top {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{1h};

std::string cluster(int generated, int prompts, const std::string& id = "aa") {
  return R"({"joined":true,"router":"0011aabb","nodes":[{"id":"gg","role":"gateway","name":"gateway-0","loads":[]},{"id":")" +
         id +
         R"(","role":"decode","name":"decode-0","address":"tcp://127.0.0.1:1","draining":false,"hung":true,"busy":true,)"
         R"("silent_ms":7,"loads":[{"model":"a","running":3,"waiting":1,"pages_total":100,"pages_free":40,"pages_cached":20,)"
         R"("queued_prompt_tokens":50,"generated_tokens":)" +
         std::to_string(generated) + R"(,"prompt_tokens":)" + std::to_string(prompts) +
         R"(},{"model":"b","running":2,"waiting":0,"pages_total":10,"pages_free":10,"pages_cached":0,"queued_prompt_tokens":0,)"
         R"("generated_tokens":0,"prompt_tokens":0}]}]})";
}

std::string row(int number, double arrived, double started, double ended, int status) {
  std::ostringstream out;
  out << '[' << number << R"(,"id","m",true,true,)" << arrived << ",0,0," << started << ',' << ended
      << R"(,"d","",1,0,5,1,)" << status << ']';
  return out.str();
}

std::string list(const std::vector<std::string>& rows) {
  std::ostringstream out;
  for (const std::string& each : rows) out << (&each == &rows.front() ? '[' : ',') << each;
  out << ']';
  return out.str();
}

TEST(ClusterWatch, SumsAWorkersModelsAndPutsWorkersFirst) {
  ClusterWatch watch("host:1");
  EXPECT_FALSE(watch.sees_cluster());
  watch.take({"cluster", cluster(0, 0)}, kStart);
  EXPECT_TRUE(watch.sees_cluster());
  const ClusterState state = watch.state(kStart);
  EXPECT_EQ(state.gateway, "host:1");
  EXPECT_EQ(state.router, "0011aabb");
  ASSERT_EQ(state.nodes.size(), 2U);
  const Node& worker = state.nodes[0];
  EXPECT_EQ(worker.name, "decode-0");
  EXPECT_TRUE(worker.hung && worker.busy && worker.computes && !worker.draining);
  EXPECT_EQ(worker.running, 5U);
  EXPECT_EQ(worker.waiting, 1U);
  EXPECT_EQ(worker.pages_total, 110U);
  EXPECT_EQ(worker.pages_used(), 40U);
  EXPECT_EQ(worker.queued_prompt_tokens, 50U);
  EXPECT_FALSE(worker.answer_rate) << "one look has no rate";
  EXPECT_FALSE(state.nodes[1].computes);
}

TEST(ClusterWatch, RatesAreOfTheLastFiveSeconds) {
  ClusterWatch watch("g");
  for (int second = 0; second <= 20; ++second)  // 10 a second, from the tenth on 100
    watch.take({"cluster", cluster(second <= 10 ? 10 * second : 100 + 100 * (second - 10), 4 * second)},
               kStart + std::chrono::seconds(second));
  const ClusterState state = watch.state(kStart + 20s);
  EXPECT_DOUBLE_EQ(state.nodes[0].answer_rate.value(), 100);
  EXPECT_DOUBLE_EQ(state.nodes[0].prompt_rate.value(), 4);
}

TEST(ClusterWatch, ARestartedWorkerHasNoRateUntilItWasSeenTwice) {
  ClusterWatch watch("g");
  watch.take({"cluster", cluster(1000, 0, "aa")}, kStart);
  watch.take({"cluster", cluster(5, 0, "bb")}, kStart + 1s);
  EXPECT_FALSE(watch.state(kStart + 1s).nodes[0].answer_rate);
  watch.take({"cluster", cluster(5, 0, "aa")}, kStart + 2s);
  EXPECT_DOUBLE_EQ(watch.state(kStart + 2s).nodes[0].answer_rate.value(), 0) << "a count that fell";
}

TEST(ClusterWatch, CountsTheRequestsThatEndedInTheWindow) {
  ClusterWatch watch("g");
  watch.take({"clock", "60000"}, kStart);
  watch.take({"requests", list({row(1, 100, 200, 300, 200), row(2, 55000, 55100, 56000, 200),
                                row(3, 56000, 56300, 57000, 500), row(4, 59000, 59200, -1, 0)})},
             kStart);
  ClusterState state = watch.state(kStart);
  EXPECT_DOUBLE_EQ(state.request_rate, 0.2);
  EXPECT_EQ(state.failures, 1U);
  EXPECT_DOUBLE_EQ(state.first_token_p50_ms.value(), 200);
  EXPECT_DOUBLE_EQ(state.first_token_p99_ms.value(), 300);
  watch.take({"requests", list({row(4, 59000, 59200, 61000, 200)})}, kStart + 1s);
  state = watch.state(kStart + 8s);  // 68 s of the gateway's clock
  EXPECT_DOUBLE_EQ(state.request_rate, 0.1);
  EXPECT_EQ(state.failures, 0U);
  EXPECT_FALSE(watch.state(kStart + 60s).first_token_p50_ms);
}

TEST(ClusterWatch, AYoungGatewaysRateIsOfItsOwnTime) {
  ClusterWatch watch("g");
  watch.take({"clock", "2000.5"}, kStart);
  watch.take({"requests", list({row(1, 1, 2, 1500, 200), row(2, 1, 2, 1800, 200)})}, kStart);
  EXPECT_NEAR(watch.state(kStart).request_rate, 1, 0.01);
}

TEST(ClusterWatch, TakesTheGatewaysOwnStateAndWhatWentWrong) {
  ClusterWatch watch("g");
  watch.take(
      {"gateway", R"({"in_flight":3,"http_in_flight":4,"connections":9,"text_queue":2,"draining":true})"},
      kStart);
  ClusterState state = watch.state(kStart);
  EXPECT_EQ(state.in_flight, 3U);
  EXPECT_EQ(state.text_queue, 2U);
  EXPECT_TRUE(state.draining);
  watch.take({"cluster", cluster(1, 1)}, kStart);
  watch.lost("gone");
  EXPECT_EQ(watch.state(kStart).trouble, "gone");
  EXPECT_EQ(watch.state(kStart).nodes.size(), 2U) << "what was seen stays";
  watch.connected();
  EXPECT_EQ(watch.state(kStart).trouble, "");
}

TEST(ClusterWatch, WhatIsMalformedChangesNothing) {
  ClusterWatch watch("g");
  watch.take({"cluster", cluster(0, 0)}, kStart);
  for (const char* name : {"cluster", "gateway", "requests", "clock", "hello", "other"})
    for (const char* data :
         {"", "{", "7", "[]", "null", "[[1]]", R"({"nodes":7})", R"([["x",1,2]])", R"({"in_flight":"many"})"})
      if (std::string_view(name) != "clock" || std::string_view(data) != "7")
        watch.take({name, data}, kStart);
  const ClusterState state = watch.state(kStart);
  EXPECT_EQ(state.nodes.size(), 2U);
  EXPECT_EQ(state.in_flight, 0U);
  EXPECT_DOUBLE_EQ(state.request_rate, 0);
}

TEST(ClusterWatch, KeepsNoMoreRequestsThanItsBound) {
  ClusterWatch watch("g");
  watch.take({"clock", "1000000"}, kStart);
  for (int part = 0; part < 12; ++part) {
    std::vector<std::string> rows;
    for (int i = 0; i < 1000; ++i) rows.push_back(row(part * 1000 + i, 999000, 999500, 999900, 200));
    watch.take({"requests", list(rows)}, kStart);
  }
  EXPECT_DOUBLE_EQ(watch.state(kStart).request_rate, ClusterWatch::kMostRequests / 10.0);
}

}  // namespace
}  // namespace troupe::cli::top
