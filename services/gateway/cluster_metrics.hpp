#pragma once
// What the gateway's cluster side shows at /metrics.
#include "common/metrics/registry.hpp"
#include "services/gateway/cluster_dispatcher.hpp"

namespace troupe::gateway {

/// `dispatcher` must live as long as the registry is scraped.
void add_cluster_metrics(metrics::Registry& registry, const ClusterDispatcher& dispatcher);

}  // namespace troupe::gateway
