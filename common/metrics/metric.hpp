#pragma once
// Declaration rows of metrics and the handles through which code counts. A service lists its rows in its
// metrics.hpp, takes its handles from the Registry once and keeps them: counting is then one call on a
// pointer.
//
//   inline const metrics::Declaration kTokens{"troupe_decode_tokens_total", "Tokens sampled.",
//   metrics::Kind::counter}; struct DecodeMetrics {
//     explicit DecodeMetrics(metrics::Registry& r) : tokens(r.counter(kTokens)) {}
//     metrics::Counter tokens;
//   };
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
}  // namespace prometheus

namespace troupe::metrics {

class HistogramSeries;  // registry.cpp

enum class Kind : std::uint8_t { counter, gauge, histogram };

/// A label and every value it may have: the number of series is known when the row is written. Never a
/// request id.
struct Label {
  std::string_view key;
  std::vector<std::string_view> values;
};

/// Name: troupe_<service>_<noun>_<unit>, counters end in _total; units are seconds and bytes. Names of
/// `vllm:` are that server's, with its meanings, for dashboards and autoscalers that know them.
struct Declaration {
  std::string_view name;
  std::string_view help;
  Kind kind = Kind::counter;
  std::vector<Label> labels = {};
  std::vector<double> buckets = {};  ///< of a histogram, ascending; see buckets.hpp
};

/// Handles are pointers into the Registry, which must outlive them. A default-made one counts nowhere, for
/// tests and tools. Threads: any. Cost: 5 to 50 ns; a histogram takes a mutex (30 to 150 ns).
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1) const;  ///< negative amounts are ignored
  [[nodiscard]] double value() const;

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter& series) : series_(&series) {}
  prometheus::Counter* series_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double amount) const;
  /// Shows nothing until it is set again: what it told of is not here any more.
  void clear() const;
  [[nodiscard]] double value() const;

 private:
  friend class Registry;
  explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
  prometheus::Gauge* series_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  /// `trace_id`: 32 hex digits of the trace that shows this observation's why; the last one of each bucket is
  /// kept and shown in OpenMetrics. "": none.
  void observe(double value, std::string_view trace_id = {}) const;
  /// Observations counted elsewhere: how many more fell into each bucket, +Inf's last, and what they add up
  /// to.
  void add_counts(std::span<const double> more, double sum) const;
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] double sum() const;

 private:
  friend class Registry;
  explicit Histogram(HistogramSeries& series) : series_(&series) {}
  HistogramSeries* series_ = nullptr;
};

}  // namespace troupe::metrics
