#pragma once
// What one process records: which requests, and their last spans, for `troupe trace` and for an exporter.
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/clock.hpp"
#include "common/trace/span.hpp"

namespace troupe::trace {

struct TracerOptions {
  double ratio = 0;               ///< of requests that come without a decision, 0 to 1
  bool follow_caller = true;      ///< a sampled traceparent is recorded, whatever the ratio
  std::size_t kept_spans = 8192;  ///< the oldest are forgotten
};

/// Threads: any. Cost: what is not sampled costs a comparison; a recorded span a lock.
class Tracer {
 public:
  explicit Tracer(TracerOptions options) : options_(options) {}

  /// Every recorded span goes there too. Before the first span; must not block nor call back.
  void set_sink(std::function<void(const Span&)> sink) { sink_ = std::move(sink); }

  /// The context of a request that arrives: its trace, its own new span and the caller's decision, or ours.
  /// The decision depends on the trace's id alone, so that whoever applies the same ratio decides the same.
  /// Nothing when it is not recorded.
  [[nodiscard]] std::optional<TraceContext> begin(const std::optional<TraceContext>& caller) const;
  void record(Span span);
  /// Those of a request that are still kept, by start.
  [[nodiscard]] std::vector<Span> of(const RequestId& request) const;

 private:
  const TracerOptions options_;
  std::function<void(const Span&)> sink_;
  mutable std::mutex mutex_;
  std::deque<Span> kept_;
};

/// A moment of the steady clock since 1970, by the system's clock of now.
[[nodiscard]] std::int64_t unix_ns(TimePoint at);

}  // namespace troupe::trace
