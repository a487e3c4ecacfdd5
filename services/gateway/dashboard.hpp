#pragma once
// The dashboard's side of the HTTP edge: its files, its events, the registry of techniques, recorded
// benchmark runs, and what a person may order a worker to do.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/call.hpp"
#include "services/gateway/live_feed.hpp"

namespace troupe::gateway {

/// What a person may do from the dashboard; each allows what stands before it.
enum class Operations : std::uint8_t { none, drain, kill };

struct DashboardOptions {
  ClusterConsole* console = nullptr;  ///< outlives the edge; null: there is no cluster to see
  Operations operations = Operations::none;
  bool loopback = true;    ///< the API listens there: orders by another host's name are refused
  std::string benchmarks;  ///< folder of recorded runs (`troupe bench --json`); empty: none
};

/// Whether a browser page of another origin is behind this request. Requests that no browser sent have no
/// Origin.
[[nodiscard]] bool is_cross_site(const Request& request, bool loopback);
/// Names of the recorded runs of a folder: its .json files, the newest name first, at most 1,000.
[[nodiscard]] std::vector<std::string> recorded_runs(const std::string& folder);

/// Threads: a connection's.
class Dashboard {
 public:
  using Submit = std::function<Expected<void>(std::function<void()>)>;  ///< to the text pool

  Dashboard(DashboardOptions options, const RequestLog& log, std::function<std::string()> gateway_json,
            Submit submit);

  /// Answers a request to one of the dashboard's routes.
  void serve(Call call);
  /// Ends the events that are open: a drain begins.
  void close() { feed_.close(); }

 private:
  void events(const Call& call);
  void benchmarks(Call call, std::string_view name);
  void operate(Call& call);
  [[nodiscard]] std::string hello_json(const RequestLog& log) const;

  const DashboardOptions options_;
  const Submit submit_;
  LiveFeed feed_;
};

}  // namespace troupe::gateway
