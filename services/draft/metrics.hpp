#pragma once
// What a draft service shows at /metrics: read from a snapshot at each scrape.
#include "common/metrics/registry.hpp"
#include "services/draft/draft_service.hpp"

namespace troupe::draft {

/// `service` must live as long as the registry's last collection.
void add_service_metrics(metrics::Registry& registry, const DraftService& service);

}  // namespace troupe::draft
