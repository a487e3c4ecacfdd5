#pragma once
// From records to figures. Plain: no sockets, no clock.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/bench/record.hpp"

namespace troupe::load {

/// The value at `share` (0..1) of sorted `values`, between neighbours by straight line; 0 of nothing.
[[nodiscard]] double percentile(const std::vector<double>& sorted, double share);

/// A sample of times in milliseconds, sorted.
struct Sample {
  std::vector<double> sorted;
  explicit Sample(std::vector<double> values = {});
  [[nodiscard]] double p(double share) const { return percentile(sorted, share); }
  [[nodiscard]] double mean() const;
  [[nodiscard]] double largest() const { return sorted.empty() ? 0 : sorted.back(); }
  [[nodiscard]] bool empty() const { return sorted.empty(); }
};

/// Service-level objective. A request meets it when its first token came in time and so did 99 of 100 of its
/// own gaps between tokens: a stall counts, which a mean would hide.
struct Objective {
  std::optional<double> first_token_ms, gap_ms;
  [[nodiscard]] bool any() const { return first_token_ms || gap_ms; }
};
[[nodiscard]] bool meets(const Record& record, const Objective& objective);

struct Summary {
  std::uint64_t requests = 0, good = 0, met = 0;  ///< met: good and within the objective
  double seconds = 0;
  Sample first_token, gap, whole;  ///< of good requests
  std::uint64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  std::uint64_t without_usage = 0;              ///< good ones whose server did not count tokens
  std::map<std::string, std::uint64_t> errors;  ///< by kind

  [[nodiscard]] double per_second(std::uint64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

[[nodiscard]] Summary summarize(const std::vector<Record>& records, Duration elapsed,
                                const Objective& objective);

/// Counts per bin of equal width on a logarithmic axis from the smallest to the largest value above 0.
struct Histogram {
  std::vector<double> edges;  ///< one more than counts; empty for no values
  std::vector<std::uint64_t> counts;
};
[[nodiscard]] Histogram log_histogram(const std::vector<double>& sorted, std::size_t bins);

}  // namespace troupe::load
