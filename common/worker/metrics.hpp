#pragma once
// What a worker shows at /metrics: read from a snapshot at each scrape.
#include <functional>
#include <string_view>

#include "common/metrics/registry.hpp"
#include "common/worker/worker.hpp"

namespace troupe::worker {

/// `role` is prefill or decode. `snapshot` must live as long as the registry.
void add_worker_metrics(metrics::Registry& registry, std::string_view role,
                        std::function<WorkerSnapshot()> snapshot);

}  // namespace troupe::worker
