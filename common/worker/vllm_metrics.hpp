#pragma once
// What engines show under vLLM's names, with vLLM's meanings: its dashboards and the autoscalers that read
// them work on a worker's /metrics. What belongs to a whole request is the gateway's
// (services/gateway/vllm_metrics.hpp), so that nothing is counted twice in a cluster.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/metrics/registry.hpp"

namespace troupe::worker {

/// One engine as its series' labels name it.
struct EngineLabels {
  std::string model;        ///< as configured
  std::uint32_t pages = 0;  ///< of its pool
  bool prefix_cache = true;
};

/// Threads: observe() any, mirror() one at a time (a scrape).
class VllmMetrics {
 public:
  /// Series: some 12 and 5 histograms for each engine. `registry` must outlive it.
  VllmMetrics(metrics::Registry& registry, const std::vector<EngineLabels>& engines);
  ~VllmMetrics();
  VllmMetrics(const VllmMetrics&) = delete;
  VllmMetrics& operator=(const VllmMetrics&) = delete;

  /// A choice came to its end. `trace_id` as in Histogram::observe.
  void observe(std::size_t engine, const engine::StageTimes& times, std::string_view trace_id = {}) const;
  /// Brings the series to what the engines say now.
  void mirror(const std::vector<engine::EngineStats>& stats);

 private:
  struct Series;
  std::vector<std::unique_ptr<Series>> engines_;
};

}  // namespace troupe::worker
