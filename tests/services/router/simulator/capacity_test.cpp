#include "services/router/simulator/capacity.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>

#include "services/router/simulator/traffic.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

/// Sizes that do, as a table.
struct Sizes {
  std::function<bool(std::size_t)> meets;
  std::vector<std::size_t> asked = {};

  std::optional<std::size_t> least(std::size_t most) {
    const auto answer = least_workers(most, [this](std::size_t workers) -> Expected<CapacityTry> {
      asked.push_back(workers);
      CapacityTry tried;
      tried.workers = workers;
      tried.meets = meets(workers);
      return tried;
    });
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->tries.size(), asked.size());
    EXPECT_TRUE(std::ranges::is_sorted(answer->tries, {}, &CapacityTry::workers));
    EXPECT_EQ(std::set<std::size_t>(asked.begin(), asked.end()).size(), asked.size())
        << "a size was asked for twice";
    return answer->workers;
  }
};

TEST(Capacity, FindsTheLeastSizeByFewLooks) {
  for (std::size_t needed = 1; needed <= 70; ++needed) {
    Sizes sizes{[needed](std::size_t n) { return n >= needed; }};
    EXPECT_EQ(sizes.least(100), needed);
    EXPECT_LE(sizes.asked.size(), 15u) << needed;
  }
  Sizes sizes{[](std::size_t n) { return n >= 100; }};
  EXPECT_EQ(sizes.least(100), 100u);
}

TEST(Capacity, SaysWhenNoSizeDoes) {
  Sizes sizes{[](std::size_t) { return false; }};
  EXPECT_EQ(sizes.least(100), std::nullopt);
  EXPECT_EQ(sizes.asked.back(), 100u);
}

TEST(Capacity, ASizeThatHoldsByLuckIsPassedOver) {
  Sizes sizes{[](std::size_t n) { return n == 4 || n == 6 || n >= 9; }};
  EXPECT_EQ(sizes.least(100), 9u);
  Sizes last{[](std::size_t n) { return n == 8; }};
  EXPECT_EQ(last.least(9), std::nullopt);
}

TEST(Capacity, AnErrorEndsTheSearch) {
  int asked = 0;
  const auto answer = least_workers(100, [&](std::size_t workers) -> Expected<CapacityTry> {
    if (++asked == 3) return fail(Errc::cancelled, "interrupted");
    CapacityTry tried;
    tried.workers = workers;
    return tried;
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  EXPECT_EQ(asked, 3);
}

class CapacityOfTraffic : public testing::Test {
 protected:
  CapacityOfTraffic() {
    TrafficOptions traffic;
    traffic.rate = 6;
    traffic.span = 60s;
    traffic.prompt_tokens = 2048;
    traffic.answer_tokens = 100;
    trace = traffic_trace(traffic);
    options.workers = {WorkerSpec{}};
    options.stretch = 1;
    goal.objectives = {2s, 100ms};
    goal.share = 0.95;
  }
  Expected<CapacityAnswer> plan() const {
    return least_workers(64, [this](std::size_t n) { return try_workers(trace, options, goal, n); });
  }
  Trace trace;
  SimulationOptions options;
  CapacityGoal goal;
};

TEST_F(CapacityOfTraffic, OneWorkerLessDoesNotMeetTheObjectives) {
  const auto answer = plan();
  ASSERT_TRUE(answer);
  ASSERT_TRUE(answer->workers);
  // 6/s of 2,048 tokens at 80 us are one worker's whole time; steps and answers come on top.
  EXPECT_GE(*answer->workers, 2u);
  EXPECT_LE(*answer->workers, 8u);
  EXPECT_TRUE(try_workers(trace, options, goal, *answer->workers)->meets);
  EXPECT_FALSE(try_workers(trace, options, goal, *answer->workers - 1)->meets);
}

TEST_F(CapacityOfTraffic, FasterWorkersAndSharedPromptsNeedFewer) {
  const auto plain = plan();
  options.workers.front().speed = 4;
  const auto fast = plan();
  options.workers.front().speed = 1;
  TrafficOptions shared;
  shared.rate = 6;
  shared.span = 60s;
  shared.prompt_tokens = 2048;
  shared.answer_tokens = 100;
  shared.shared = 0.9;
  trace = traffic_trace(shared);
  const auto cached = plan();
  ASSERT_TRUE(plain && fast && cached);
  EXPECT_LT(fast->workers.value(), plain->workers.value());
  EXPECT_LT(cached->workers.value(), plain->workers.value());
}

TEST_F(CapacityOfTraffic, CountsThePagesThatAreInUseAtOnce) {
  const auto tried = try_workers(trace, options, goal, 8);
  ASSERT_TRUE(tried);
  EXPECT_GE(tried->peak_pages, 2048u / 64);  // one request's
  EXPECT_LE(tried->peak_pages, options.workers.front().pages);
  const auto crowded = try_workers(trace, options, goal, 2);
  ASSERT_TRUE(crowded);
  EXPECT_GT(crowded->peak_pages, tried->peak_pages) << "fewer workers hold more at once";
}

TEST_F(CapacityOfTraffic, ShowsTriesAsTableAndJson) {
  const auto answer = plan();
  ASSERT_TRUE(answer);
  const std::string table = capacity_table(*answer);
  EXPECT_NE(table.find("too few"), std::string::npos) << table;
  EXPECT_NE(table.find("enough"), std::string::npos) << table;
  const auto json = nlohmann::json::parse(capacity_json(*answer, 1024));
  EXPECT_EQ(json.at("workers"), *answer->workers);
  EXPECT_EQ(json.at("tries").size(), answer->tries.size());
  const auto& first = json.at("tries").at(0);
  EXPECT_EQ(first.at("kv_bytes_in_use"), 1024 * first.at("kv_pages_in_use").get<int>());
  EXPECT_FALSE(
      nlohmann::json::parse(capacity_json(*answer, 0)).at("tries").at(0).contains("kv_bytes_in_use"));
}

}  // namespace
}  // namespace troupe::router
