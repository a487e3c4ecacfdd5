#include "services/gateway/metrics.hpp"

#include <algorithm>
#include <vector>

namespace troupe::gateway {
namespace {

using metrics::Declaration;
using metrics::Kind;

template <std::size_t N>
std::vector<std::string_view> list(const std::array<std::string_view, N>& names) {
  return {names.begin(), names.end()};
}

const Declaration kRequests{"troupe_gateway_requests_total",
                            "HTTP requests by route and by how they ended.",
                            Kind::counter,
                            {{"route", list(kRouteNames)}, {"outcome", list(kOutcomeNames)}}};
const Declaration kFirstToken{"troupe_gateway_first_token_seconds",
                              "From a request's arrival to its first token.",
                              Kind::histogram,
                              {},
                              metrics::latency_buckets()};
const Declaration kInterToken{"troupe_gateway_inter_token_seconds",
                              "Between two deliveries of tokens for one choice.",
                              Kind::histogram,
                              {},
                              metrics::step_buckets()};
const Declaration kRequestTime{"troupe_gateway_request_seconds",
                               "From a generation request's arrival to its answer's end.",
                               Kind::histogram,
                               {},
                               metrics::latency_buckets()};
const Declaration kPrompt{"troupe_gateway_prompt_tokens_total", "Tokens of prompts."};
const Declaration kCached{"troupe_gateway_cached_tokens_total",
                          "Tokens of prompts that were served from a cache."};
const Declaration kCompletion{"troupe_gateway_completion_tokens_total", "Tokens of answers."};
const Declaration kFailedHandshakes{"troupe_gateway_tls_handshakes_failed_total", "HTTPS clients that could not agree on TLS."};
const metrics::Label kCertificate{"outcome", {"taken", "failed"}};
const Declaration kCertificates{"troupe_gateway_tls_certificates_total",
                                "Changed certificate files, taken into use or not.",
                                Kind::counter,
                                {kCertificate}};
const Declaration kRefusals{"troupe_gateway_refused_requests_total",
                            "Requests that their API key, or none, did not let in.",
                            Kind::counter,
                            {{"reason", list(kRefusalNames)}}};
const Declaration kKeyFiles{"troupe_gateway_api_key_files_total",
                            "Changed files of API keys, taken into use or not.",
                            Kind::counter,
                            {kCertificate}};
const metrics::Label kAuditLine{"outcome", {"written", "lost"}};
const Declaration kAuditLines{"troupe_gateway_audit_lines_total",
                              "Lines of the audit log; lost: the disk refused, or was too slow.",
                              Kind::counter,
                              {kAuditLine}};
const Declaration kInFlight{"troupe_gateway_http_in_flight_requests",
                            "HTTP requests read but not yet answered in full.", Kind::gauge};
const Declaration kConnections{"troupe_gateway_http_open_connections", "Open HTTP connections.", Kind::gauge};
const Declaration kTextQueue{"troupe_gateway_text_queue_requests", "Requests waiting for a text thread.",
                             Kind::gauge};

std::size_t outcome_index(int status) {
  if (status == 0) return 4;
  if (status == 499) return 3;
  return status < 400 ? 0 : status < 500 ? 1 : 2;
}

}  // namespace

EdgeMetrics::EdgeMetrics(metrics::Registry& registry, const std::vector<std::string>& models)
    : first_token_seconds(registry.histogram(kFirstToken)),
      inter_token_seconds(registry.histogram(kInterToken)),
      request_seconds(registry.histogram(kRequestTime)),
      prompt_tokens(registry.counter(kPrompt)),
      cached_tokens(registry.counter(kCached)),
      completion_tokens(registry.counter(kCompletion)),
      failed_handshakes(registry.counter(kFailedHandshakes)),
      certificates{registry.counter(kCertificates, {kCertificate.values[0]}), registry.counter(kCertificates, {kCertificate.values[1]})},
      key_files{registry.counter(kKeyFiles, {kCertificate.values[0]}),
                registry.counter(kKeyFiles, {kCertificate.values[1]})},
      audit_lines{registry.counter(kAuditLines, {kAuditLine.values[0]}),
                  registry.counter(kAuditLines, {kAuditLine.values[1]})},
      in_flight(registry.gauge(kInFlight)),
      connections(registry.gauge(kConnections)),
      text_queue(registry.gauge(kTextQueue)),
      vllm(registry, models) {
  for (std::size_t reason = 0; reason < kRefusalNames.size(); ++reason)
    refusals[reason] = registry.counter(kRefusals, {kRefusalNames[reason]});
  for (std::size_t route = 0; route < kRouteNames.size(); ++route) {
    for (std::size_t outcome = 0; outcome < kOutcomeNames.size(); ++outcome) {
      requests[route][outcome] = registry.counter(kRequests, {kRouteNames[route], kOutcomeNames[outcome]});
    }
  }
}

void EdgeMetrics::count_request(std::size_t route, int status) const {
  requests[route][outcome_index(status)].add();
}

void add_export_metrics(metrics::Registry& registry, const trace::Exporter& exporter) {
  const metrics::Label outcome{"outcome", {"exported", "dropped", "failed"}};
  const Declaration row{"troupe_gateway_trace_spans_total",
                        "Spans for the collector: taken, dropped since the queue was full, or not taken.",
                        Kind::counter,
                        {outcome}};
  std::vector<metrics::Counter> counters;
  for (const std::string_view value : outcome.values) counters.push_back(registry.counter(row, {value}));
  registry.before_collect([&exporter, counters] {
    const trace::ExporterCounters now = exporter.counters();
    const std::array<std::uint64_t, 3> values{now.exported, now.dropped, now.failed};
    for (std::size_t i = 0; i < values.size(); ++i)
      counters[i].add(static_cast<double>(values[i]) - counters[i].value());
  });
}

std::size_t route_index(std::string_view name) {
  const auto found = std::ranges::find(kRouteNames, name);
  return found == kRouteNames.end() ? kRouteNames.size() - 1
                                    : static_cast<std::size_t>(found - kRouteNames.begin());
}

}  // namespace troupe::gateway
