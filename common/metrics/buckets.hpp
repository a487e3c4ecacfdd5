#pragma once
// The bucket bounds every service shares, so that histograms of different services can be added up.
#include <vector>

namespace troupe::metrics {

/// Seconds, 1 ms to 2 min: whole requests, time to first token, queue waits.
[[nodiscard]] const std::vector<double>& latency_buckets();
/// Seconds, 50 us to 10 s: time between tokens, one engine step, one frame's transfer.
[[nodiscard]] const std::vector<double>& step_buckets();
/// Bytes, 1 KiB to 4 GiB by factors of 4.
[[nodiscard]] const std::vector<double>& size_buckets();
/// Counts, 1 to 131072 by factors of 2: tokens of a prompt, rows of a step.
[[nodiscard]] const std::vector<double>& count_buckets();

}  // namespace troupe::metrics
