#include "common/worker/vllm_metrics.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

using namespace std::chrono_literals;

bool has(const std::string& text, const std::string& line) {
  return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(VllmMetrics, MirrorsEachEngineUnderItsModel) {
  metrics::Registry registry;
  VllmMetrics vllm(registry, {{"a", 100, true}, {"b", 50, false}});
  std::vector<engine::EngineStats> stats(2);
  stats[0].running = 3;
  stats[0].pages_total = 100;
  stats[0].pages_free = 20;
  stats[0].pages_cached = 30;
  stats[0].prompt_tokens = 60;
  stats[0].cached_tokens = 40;
  stats[0].step_rows.add(1);
  stats[0].step_rows.add(100);
  stats[1].waiting = 2;
  vllm.mirror(stats);
  stats[0].step_rows.add(20000);
  stats[0].cached_tokens = 50;
  vllm.mirror(stats);
  const std::string text = registry.serialize();
  EXPECT_TRUE(has(text, "vllm:num_requests_running{engine=\"0\",model_name=\"a\"} 3")) << text;
  EXPECT_TRUE(has(text, "vllm:num_requests_waiting{engine=\"1\",model_name=\"b\"} 2"));
  EXPECT_TRUE(has(text, "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a\"} 0.5"));
  EXPECT_TRUE(has(text, "vllm:gpu_cache_usage_perc{engine=\"0\",model_name=\"a\"} 0.5"));
  EXPECT_TRUE(has(text, "vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"b\"} 0")) << "no pages yet";
  EXPECT_TRUE(has(text, "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"a\"} 110"));
  EXPECT_TRUE(has(text, "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"a\"} 50"));
  EXPECT_TRUE(has(text, "vllm:iteration_tokens_total_bucket{engine=\"0\",model_name=\"a\",le=\"1.0\"} 1"));
  EXPECT_TRUE(has(text, "vllm:iteration_tokens_total_bucket{engine=\"0\",model_name=\"a\",le=\"128.0\"} 2"));
  EXPECT_TRUE(has(text, "vllm:iteration_tokens_total_count{engine=\"0\",model_name=\"a\"} 3"));
  EXPECT_TRUE(has(text, "vllm:iteration_tokens_total_sum{engine=\"0\",model_name=\"a\"} 20101"));
  EXPECT_TRUE(has(text,
                  "vllm:cache_config_info{block_size=\"64\",enable_prefix_caching=\"False\",engine=\"1\","
                  "model_name=\"b\","
                  "num_gpu_blocks=\"50\"} 1"));
}

TEST(VllmMetrics, CutsARequestsTimeIntoItsStages) {
  metrics::Registry registry;
  const VllmMetrics vllm(registry, {{"a", 100, true}});
  const TimePoint start{1h};
  vllm.observe(0, {start, start + 1s, start + 3s, start + 7s});
  const std::string text = registry.serialize();
  for (const auto& [stage, seconds] :
       {std::pair{"queue", 1}, {"prefill", 2}, {"decode", 4}, {"inference", 6}})
    EXPECT_TRUE(has(text, "vllm:request_" + std::string(stage) +
                              "_time_seconds_sum{engine=\"0\",model_name=\"a\"} " + std::to_string(seconds)))
        << text;
}

}  // namespace
}  // namespace troupe::worker
