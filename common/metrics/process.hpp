#pragma once
// What every process says of itself: memory, descriptors, threads, CPU time, start time. Linux.
#include "common/metrics/registry.hpp"

namespace troupe::metrics {

/// Adds
/// troupe_process_{resident_bytes,open_descriptors,threads,cpu_seconds_total,start_time_seconds},
/// read at each scrape.
void add_process_metrics(Registry& registry);

}  // namespace troupe::metrics
