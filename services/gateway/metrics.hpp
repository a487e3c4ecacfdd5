#pragma once
// What the HTTP edge counts.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/metrics/buckets.hpp"
#include "common/metrics/registry.hpp"
#include "common/trace/exporter.hpp"
#include "services/gateway/vllm_metrics.hpp"

namespace troupe::gateway {

/// The `route` label; anything else is "other".
inline constexpr std::array kRouteNames = std::to_array<std::string_view>(
    {"chat_completions", "completions", "messages",    "count_tokens", "ollama_chat", "ollama_generate",
     "events",           "models",      "tokenize",    "detokenize",   "files",       "batches",
     "batch_lines",      "healthz",     "readyz",      "metrics",      "config",      "state",
     "page",             "options",     "refused",     "trace",        "orders",      "responses",
     "embeddings",       "rerank",      "score",       "other"});
/// The `outcome` label: status class, or how an answer ended otherwise.
inline constexpr std::array<std::string_view, 5> kOutcomeNames{"2xx", "4xx", "5xx", "gone", "broken"};

/// The `reason` label: what a key lacked, or which of its limits was reached.
inline constexpr std::array<std::string_view, 5> kRefusalNames{"key", "scope", "requests", "tokens",
                                                               "concurrency"};

struct EdgeMetrics {
  EdgeMetrics(metrics::Registry& registry, const std::vector<std::string>& models);
  void count_request(std::size_t route,
                     int status) const;  ///< 499: gone; 0: broken off after its head was sent

  std::array<std::array<metrics::Counter, kOutcomeNames.size()>, kRouteNames.size()> requests;
  metrics::Histogram first_token_seconds;
  metrics::Histogram inter_token_seconds;
  metrics::Histogram request_seconds;
  metrics::Counter prompt_tokens;
  metrics::Counter cached_tokens;
  metrics::Counter completion_tokens;
  metrics::Counter failed_handshakes;
  std::array<metrics::Counter, 2> certificates;  ///< changed ones: taken, kept out
  std::array<metrics::Counter, kRefusalNames.size()> refusals;
  std::array<metrics::Counter, 2> key_files;    ///< changed ones: taken, kept out
  std::array<metrics::Counter, 2> audit_lines;  ///< written, lost
  metrics::Gauge in_flight;
  metrics::Gauge connections;
  metrics::Gauge text_queue;
  VllmMetrics vllm;
};

/// What the span exporter counted. `exporter` must live as long as the registry is scraped.
void add_export_metrics(metrics::Registry& registry, const trace::Exporter& exporter);

[[nodiscard]] std::size_t route_index(std::string_view name);

}  // namespace troupe::gateway
