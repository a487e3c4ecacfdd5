#include "common/worker/vllm_metrics.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "common/kv/block_key.hpp"

namespace troupe::worker {
namespace {

using engine::EngineStats;
using metrics::Declaration;
using metrics::Kind;

/// Seconds; the bounds vLLM gives to the parts of a request.
const std::vector<double>& stage_buckets() {
  static const std::vector<double> kBounds{0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                           30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
  return kBounds;
}

double seconds(Duration time) {
  return std::max(0.0, std::chrono::duration<double>(time).count());
}

struct GaugeRow {
  std::string_view name, help;
  double (*read)(const EngineStats&);
};
struct CounterRow {
  std::string_view name, help;
  std::uint64_t (*read)(const EngineStats&);
};

/// Pages that nobody could be given now; those kept for equal prefixes can be.
double usage(const EngineStats& s) {
  return s.pages_total == 0 ? 0.0 : 1.0 - double(s.pages_free + s.pages_cached) / double(s.pages_total);
}
std::uint64_t queries(const EngineStats& s) {
  return s.prompt_tokens + s.cached_tokens;
}
std::uint64_t hits(const EngineStats& s) {
  return s.cached_tokens;
}

// The names vLLM gave up stand beside those it has now, as they did in its releases.
constexpr std::array<GaugeRow, 4> kGauges{{
    {"vllm:num_requests_running", "Requests in the batch.",
     [](const EngineStats& s) { return double(s.running); }},
    {"vllm:num_requests_waiting", "Requests waiting for a place in the batch.",
     [](const EngineStats& s) { return double(s.waiting); }},
    {"vllm:kv_cache_usage_perc", "KV cache in use; 1 is all of it.", usage},
    {"vllm:gpu_cache_usage_perc", "KV cache in use; 1 is all of it. The older name.", usage},
}};
constexpr std::array<CounterRow, 5> kCounters{{
    {"vllm:num_preemptions_total", "Requests sent back to the queue for want of pages.",
     [](const EngineStats& s) { return s.preemptions; }},
    {"vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.", queries},
    {"vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", hits},
    {"vllm:gpu_prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache. The older name.",
     queries},
    {"vllm:gpu_prefix_cache_hits_total", "Prompt tokens found in the prefix cache. The older name.", hits},
}};

struct StageRow {
  std::string_view name, help;
  Duration (*length)(const engine::StageTimes&);
};
constexpr std::array<StageRow, 4> kStages{{
    {"vllm:request_queue_time_seconds",
     "From a request's arrival at the engine to its first place in a batch.",
     [](const engine::StageTimes& t) { return t.admitted - t.queued; }},
    {"vllm:request_prefill_time_seconds", "From a request's first place in a batch to its first token.",
     [](const engine::StageTimes& t) { return t.first_token - t.admitted; }},
    {"vllm:request_decode_time_seconds", "From a request's first token to its last.",
     [](const engine::StageTimes& t) { return t.last_token - t.first_token; }},
    {"vllm:request_inference_time_seconds", "From a request's first place in a batch to its last token.",
     [](const engine::StageTimes& t) { return t.last_token - t.admitted; }},
}};

}  // namespace

struct VllmMetrics::Series {
  std::array<metrics::Gauge, kGauges.size()> gauges;
  std::array<std::pair<metrics::Counter, std::uint64_t>, kCounters.size()> counters;
  std::array<metrics::Histogram, kStages.size()> stages;
  metrics::Histogram step_tokens;
  engine::StepRows seen;

  void mirror(const EngineStats& stats) {
    for (std::size_t i = 0; i < kGauges.size(); ++i) gauges[i].set(kGauges[i].read(stats));
    for (std::size_t i = 0; i < kCounters.size(); ++i) {
      auto& [counter, before] = counters[i];
      const std::uint64_t value = kCounters[i].read(stats);
      if (value > before) counter.add(static_cast<double>(value - before));
      before = std::max(before, value);
    }
    std::array<double, engine::StepRows::kBounds.size() + 1> more{};
    for (std::size_t i = 0; i < more.size(); ++i)
      more[i] = static_cast<double>(stats.step_rows.steps[i] - seen.steps[i]);
    step_tokens.add_counts(more, static_cast<double>(stats.step_rows.rows - seen.rows));
    seen = stats.step_rows;
  }
};

VllmMetrics::VllmMetrics(metrics::Registry& registry, const std::vector<EngineLabels>& engines) {
  metrics::Label model{"model_name", {}}, index{"engine", {}}, pages{"num_gpu_blocks", {}};
  std::vector<std::string> numbers, counts;
  for (const EngineLabels& engine : engines) {
    numbers.push_back(std::to_string(numbers.size()));
    counts.push_back(std::to_string(engine.pages));
  }
  for (std::size_t i = 0; i < engines.size(); ++i) {
    model.values.push_back(engines[i].model);
    index.values.push_back(numbers[i]);
    pages.values.push_back(counts[i]);
  }
  const std::string page_tokens = std::to_string(kBlockTokens * kBlocksPerPage);
  const std::vector<metrics::Label> labels{model, index};
  const Declaration info{
      "vllm:cache_config_info",
      "The KV cache as configured; a block is a page.",
      Kind::gauge,
      {{"block_size", {page_tokens}}, {"enable_prefix_caching", {"True", "False"}}, index, model, pages}};
  const std::vector<double> rows(engine::StepRows::kBounds.begin(), engine::StepRows::kBounds.end());
  for (std::size_t i = 0; i < engines.size(); ++i) {
    auto made = std::make_unique<Series>();
    const std::string_view name = engines[i].model, number = numbers[i];
    for (std::size_t row = 0; row < kGauges.size(); ++row)
      made->gauges[row] =
          registry.gauge({kGauges[row].name, kGauges[row].help, Kind::gauge, labels}, {name, number});
    for (std::size_t row = 0; row < kCounters.size(); ++row)
      made->counters[row].first =
          registry.counter({kCounters[row].name, kCounters[row].help, Kind::counter, labels}, {name, number});
    for (std::size_t row = 0; row < kStages.size(); ++row)
      made->stages[row] = registry.histogram(
          {kStages[row].name, kStages[row].help, Kind::histogram, labels, stage_buckets()}, {name, number});
    made->step_tokens = registry.histogram(
        {"vllm:iteration_tokens_total", "Tokens of an engine step.", Kind::histogram, labels, rows},
        {name, number});
    registry.gauge(info, {page_tokens, engines[i].prefix_cache ? "True" : "False", number, name, counts[i]})
        .set(1);
    engines_.push_back(std::move(made));
  }
}

VllmMetrics::~VllmMetrics() = default;

void VllmMetrics::observe(std::size_t engine, const engine::StageTimes& times,
                          std::string_view trace_id) const {
  for (std::size_t i = 0; i < kStages.size(); ++i)
    engines_[engine]->stages[i].observe(seconds(kStages[i].length(times)), trace_id);
}

void VllmMetrics::mirror(const std::vector<EngineStats>& stats) {
  for (std::size_t i = 0; i < std::min(stats.size(), engines_.size()); ++i) engines_[i]->mirror(stats[i]);
}

}  // namespace troupe::worker
