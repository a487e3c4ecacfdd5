#pragma once
// The metrics of one process (prometheus-cpp wall): made in main, passed in, no singleton.
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "common/metrics/format.hpp"
#include "common/metrics/metric.hpp"

namespace troupe::metrics {

/// Threads: any. Taking a handle costs a lock and a search, once; the same row and label values give the same
/// series. A row that breaks the naming rule, a label value outside its closed set, one name with two
/// different rows: a programmer's fault, ends the process.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// `label_values` in the order of the row's labels.
  [[nodiscard]] Counter counter(const Declaration& row,
                                std::initializer_list<std::string_view> label_values = {});
  [[nodiscard]] Gauge gauge(const Declaration& row,
                            std::initializer_list<std::string_view> label_values = {});
  [[nodiscard]] Histogram histogram(const Declaration& row,
                                    std::initializer_list<std::string_view> label_values = {});

  /// Runs before each serialize(): for gauges that are read, not kept. It must not block nor call
  /// serialize(), and what it captures must live as long as the Registry.
  void before_collect(std::function<void()> update);

  /// The exposition, families and series in the order of their names.
  [[nodiscard]] std::string serialize(Format format = Format::text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "" when the row follows the rules, else what is wrong with it.
[[nodiscard]] std::string why_invalid(const Declaration& row);

}  // namespace troupe::metrics
