#include "services/gateway/vllm_metrics.hpp"

namespace troupe::gateway {
namespace {

using metrics::Declaration;
using metrics::Kind;

// The bounds are vLLM's: a dashboard may name them.
const std::vector<double> kFirstToken{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                      1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const std::vector<double> kPerToken{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                    0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
const std::vector<double> kWhole{0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                 30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const std::vector<double> kTokens{1,    2,    5,    10,    20,    50,    100,    200,    500,
                                  1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000};
const std::vector<double> kChoices{1, 2, 5, 10, 20};

const metrics::Label kReason{"finished_reason", {"stop", "length", "abort"}};

struct HistogramRow {
  metrics::Histogram VllmSeries::*series;
  std::string_view name, help;
  const std::vector<double>& buckets;
};
const std::vector<HistogramRow>& histograms() {
  using S = VllmSeries;
  static const std::vector<HistogramRow> kRows{
      {&S::first_token, "vllm:time_to_first_token_seconds", "From a request's arrival to its first token.",
       kFirstToken},
      {&S::inter_token, "vllm:inter_token_latency_seconds", "Between two deliveries of tokens.", kPerToken},
      {&S::time_per_output_token, "vllm:time_per_output_token_seconds",
       "Between two deliveries of tokens. The older name.", kPerToken},
      {&S::request_time_per_output_token, "vllm:request_time_per_output_token_seconds",
       "Mean time of a request's tokens after the first.", kPerToken},
      {&S::e2e, "vllm:e2e_request_latency_seconds", "From a request's arrival to its end.", kWhole},
      {&S::request_prompt_tokens, "vllm:request_prompt_tokens", "Prompt tokens of finished requests.",
       kTokens},
      {&S::request_generation_tokens, "vllm:request_generation_tokens", "Answer tokens of finished requests.",
       kTokens},
      {&S::request_max_tokens, "vllm:request_max_num_generation_tokens",
       "Answer tokens that requests were allowed.", kTokens},
      {&S::params_n, "vllm:request_params_n", "Choices that requests asked for.", kChoices},
      {&S::params_max_tokens, "vllm:request_params_max_tokens",
       "Answer tokens that requests asked for at most.", kTokens},
  };
  return kRows;
}

}  // namespace

void VllmSeries::count_token_gap(double seconds) const {
  inter_token.observe(seconds);
  time_per_output_token.observe(seconds);
}

void VllmSeries::count_finished(const FinishedChoice& choice, std::string_view trace_id) const {
  success[choice.reason == FinishReason::stop ? 0 : 1].add();
  e2e.observe(choice.seconds, trace_id);
  if (choice.tokens > 1)
    request_time_per_output_token.observe(choice.output_seconds / static_cast<double>(choice.tokens - 1),
                                          trace_id);
  request_prompt_tokens.observe(static_cast<double>(choice.prompt_tokens));
  request_generation_tokens.observe(static_cast<double>(choice.tokens));
  request_max_tokens.observe(choice.max_tokens);
  params_n.observe(choice.choices);
  params_max_tokens.observe(choice.max_tokens);
}

VllmMetrics::VllmMetrics(metrics::Registry& registry, const std::vector<std::string>& models) {
  if (models.empty()) return;
  const std::vector<metrics::Label> labels{{"model_name", {models.begin(), models.end()}}, {"engine", {"0"}}};
  auto with_reason = labels;
  with_reason.push_back(kReason);
  for (const std::string& model : models) {
    VllmSeries& series = models_[model];
    for (const HistogramRow& row : histograms())
      series.*row.series =
          registry.histogram({row.name, row.help, Kind::histogram, labels, row.buckets}, {model, "0"});
    series.prompt_tokens =
        registry.counter({"vllm:prompt_tokens_total", "Prompt tokens.", Kind::counter, labels}, {model, "0"});
    series.generation_tokens = registry.counter(
        {"vllm:generation_tokens_total", "Answer tokens.", Kind::counter, labels}, {model, "0"});
    for (std::size_t i = 0; i < kReason.values.size(); ++i)
      series.success[i] = registry.counter(
          {"vllm:request_success_total", "Requests that ended, by why.", Kind::counter, with_reason},
          {model, "0", kReason.values[i]});
  }
}

const VllmSeries& VllmMetrics::of(std::string_view model) const {
  const auto found = models_.find(model);
  return found == models_.end() ? nowhere_ : found->second;
}

}  // namespace troupe::gateway
