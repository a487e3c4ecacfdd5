#pragma once
// What requests show under vLLM's names, with vLLM's meanings: its dashboards work on a gateway's /metrics. A
// choice counts as a request there. What belongs to an engine is the workers'
// (common/worker/vllm_metrics.hpp).
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/metrics/registry.hpp"
#include "common/sampling/params.hpp"

namespace troupe::gateway {

/// A choice that came to its end.
struct FinishedChoice {
  FinishReason reason = FinishReason::none;
  double seconds = 0;         ///< from the request's arrival
  double output_seconds = 0;  ///< from the first token to the last
  std::uint64_t prompt_tokens = 0;
  std::uint64_t tokens = 0;
  std::uint32_t choices = 1;  ///< of its request
  std::uint32_t max_tokens = 0;
};

/// The series of one model. `trace_id` as in Histogram::observe.
struct VllmSeries {
  metrics::Histogram first_token, inter_token, time_per_output_token, request_time_per_output_token, e2e;
  metrics::Histogram request_prompt_tokens, request_generation_tokens, request_max_tokens, params_n,
      params_max_tokens;
  metrics::Counter prompt_tokens, generation_tokens;
  std::array<metrics::Counter, 3> success;  ///< stop, length, abort

  void count_token_gap(double seconds) const;
  void count_finished(const FinishedChoice& choice, std::string_view trace_id) const;
  void count_aborted() const { success[2].add(); }
};

class VllmMetrics {
 public:
  /// `models`: every name a request can be made for; they are configured, never a client's. `registry` must
  /// outlive it.
  VllmMetrics(metrics::Registry& registry, const std::vector<std::string>& models);
  /// Series that count nowhere for a name that is not among them.
  [[nodiscard]] const VllmSeries& of(std::string_view model) const;

 private:
  std::map<std::string, VllmSeries, std::less<>> models_;
  VllmSeries nowhere_;
};

}  // namespace troupe::gateway
