#pragma once
// What a worker shows at /metrics: read from a snapshot at each scrape.
#include <functional>
#include <memory>

#include "common/metrics/registry.hpp"
#include "common/worker/vllm_metrics.hpp"
#include "common/worker/worker.hpp"

namespace troupe::worker {

/// `snapshot` must live as long as the registry. Series are labelled with the role the worker has: after a
/// change what it counts from then on has the new one, and the old one's gauges are gone. `vllm` may be null.
void add_worker_metrics(metrics::Registry& registry, std::function<WorkerSnapshot()> snapshot,
                        std::shared_ptr<VllmMetrics> vllm = nullptr);

}  // namespace troupe::worker
