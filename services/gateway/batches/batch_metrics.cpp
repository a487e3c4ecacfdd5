#include "services/gateway/batches/batch_metrics.hpp"

namespace troupe::gateway {
namespace {

using metrics::Declaration;
using metrics::Kind;

const metrics::Label kOutcome{"outcome", {"completed", "failed", "retried"}};
const metrics::Label kState{"state", {"waiting", "running"}};
const metrics::Label kStatus{"status", {"validating", "in_progress", "finalizing", "cancelling"}};
const Declaration kLines{
    "troupe_gateway_batch_lines_total",
    "Lines of batches that have a result, and refusals of the cluster after which one runs again.",
    Kind::counter,
    {kOutcome}};
const Declaration kNow{
    "troupe_gateway_batch_open_lines", "Lines of batches without a result.", Kind::gauge, {kState}};
const Declaration kBatches{"troupe_gateway_batches", "Batches that have not ended.", Kind::gauge, {kStatus}};
const Declaration kOpen{"troupe_gateway_batch_store_open", "Whether files and batches can be kept: 1 or 0.",
                        Kind::gauge};

}  // namespace

BatchMetrics::BatchMetrics(metrics::Registry& registry) : open(registry.gauge(kOpen)) {
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = registry.counter(kLines, {kOutcome.values[i]});
  for (std::size_t i = 0; i < now.size(); ++i) now[i] = registry.gauge(kNow, {kState.values[i]});
  for (std::size_t i = 0; i < batches.size(); ++i) batches[i] = registry.gauge(kBatches, {kStatus.values[i]});
}

}  // namespace troupe::gateway
