#include "services/bench/summary.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace troupe::load {
namespace {

double milliseconds(Duration time) {
  return static_cast<double>(time.count()) / 1e6;
}

}  // namespace

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

Sample::Sample(std::vector<double> values) : sorted(std::move(values)) {
  std::sort(sorted.begin(), sorted.end());
}

double Sample::mean() const {
  if (sorted.empty()) return 0;
  return std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
}

bool meets(const Record& record, const Objective& objective) {
  if (!record.good()) return false;
  const auto first = record.first_token();
  if (objective.first_token_ms && (!first || milliseconds(*first) > *objective.first_token_ms)) return false;
  if (!objective.gap_ms) return true;
  std::vector<double> gaps;
  for (const Duration gap : record.gaps()) gaps.push_back(milliseconds(gap));
  return Sample(std::move(gaps)).p(0.99) <= *objective.gap_ms;
}

Summary summarize(const std::vector<Record>& records, Duration elapsed, const Objective& objective) {
  Summary out;
  out.requests = records.size();
  out.seconds = static_cast<double>(elapsed.count()) / 1e9;
  std::vector<double> first, gaps, whole;
  for (const Record& record : records) {
    if (!record.good()) {
      ++out.errors[record.error];
      continue;
    }
    ++out.good;
    if (meets(record, objective)) ++out.met;
    if (!record.usage_seen) ++out.without_usage;
    out.prompt_tokens += record.prompt_tokens;
    out.cached_tokens += record.cached_tokens;
    out.output_tokens += record.output_tokens;
    if (const auto time = record.first_token()) first.push_back(milliseconds(*time));
    for (const Duration gap : record.gaps()) gaps.push_back(milliseconds(gap));
    whole.push_back(milliseconds(record.whole()));
  }
  out.first_token = Sample(std::move(first));
  out.gap = Sample(std::move(gaps));
  out.whole = Sample(std::move(whole));
  return out;
}

Histogram log_histogram(const std::vector<double>& sorted, std::size_t bins) {
  Histogram out;
  const auto positive = std::upper_bound(sorted.begin(), sorted.end(), 0.0);
  if (positive == sorted.end() || bins == 0) return out;
  const double low = std::log(*positive);
  const double width = std::max(std::log(sorted.back()) - low, 1e-9) / static_cast<double>(bins);
  out.counts.assign(bins, 0);
  for (std::size_t i = 0; i <= bins; ++i) out.edges.push_back(std::exp(low + width * static_cast<double>(i)));
  for (auto value = positive; value != sorted.end(); ++value)
    ++out.counts[std::min(static_cast<std::size_t>((std::log(*value) - low) / width), bins - 1)];
  out.counts.front() +=
      static_cast<std::uint64_t>(positive - sorted.begin());  // two events in one read: no gap
  return out;
}

}  // namespace troupe::load
