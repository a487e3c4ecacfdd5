#pragma once
// What a simulation showed, for people and machines.
#include <string>
#include <vector>

#include "services/router/simulator/simulation.hpp"

namespace troupe::router {

/// A request is good when both hold.
struct Objectives {
  Duration first_token = std::chrono::seconds(5);
  Duration between_tokens = std::chrono::milliseconds(100);  ///< mean of a request
};

struct SimulationSummary {
  std::string trace, policy;
  double load = 0;
  std::size_t requests = 0, finished = 0, refused = 0, good = 0, replays = 0;
  double hit_ratio = 0;                                ///< cached prompt tokens of all
  double first_p50 = 0, first_p90 = 0, first_p99 = 0;  ///< seconds, of finished requests
  double between_p50 = 0, between_p99 = 0;             ///< seconds
  double goodput = 0;                                  ///< good requests a second, over the arrivals
  double prediction_error = 0;
  double busy = 0;  ///< share of the time that workers step
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0, disaggregated = 0, snapshots = 0, fetches = 0, fetched_tokens = 0;
  std::vector<double> first_tokens;  ///< sorted, seconds
};

[[nodiscard]] SimulationSummary summarize(const Trace& trace, const SimulationOptions& options,
                                          const SimulationResult& result, const Objectives& objectives);

/// "35 ms", "1.20 s".
[[nodiscard]] std::string time_text(double seconds);
/// A row per simulation.
[[nodiscard]] std::string table_text(const std::vector<SimulationSummary>& all);
/// Goodput as a bar per simulation.
[[nodiscard]] std::string bars_text(const std::vector<SimulationSummary>& all);
/// An array of objects.
[[nodiscard]] std::string summaries_json(const std::vector<SimulationSummary>& all);
/// A line of JSON for each request, in the trace's order: when it came, where it went, what it waited for.
[[nodiscard]] std::string outcomes_jsonl(const SimulationSummary& of, const SimulationResult& result);
/// Share of requests by time to first token over a logarithmic axis, a curve per simulation of one load.
[[nodiscard]] std::string first_tokens_svg(const std::string& title,
                                           const std::vector<SimulationSummary>& all);

}  // namespace troupe::router
