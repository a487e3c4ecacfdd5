#pragma once
// A cluster in virtual time: the router's own state class (views, books, learnt costs, policy) placed over
// simulated workers, gateways and lines. Nothing is measured; the same options give the same result.
//
//   trace -> PlaceRequest -> RouterState -> Placement -> WorkerModel -> tokens
//                 ^  heartbeats, KvUpdates (lost, doubled, overtaken), RequestStarted, RequestEnded
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.hpp"
#include "services/router/simulator/trace.hpp"
#include "services/router/simulator/worker_model.hpp"

namespace troupe::router {

/// Of control messages about caches, between a worker and a router.
struct EventFaults {
  double lose = 0, repeat = 0, overtake = 0;  ///< shares
};

struct Death {
  Duration at{};
  std::size_t worker = 0;
  Duration away = std::chrono::seconds(10);  ///< then it is back, empty
};

struct SimulationOptions {
  std::string policy = "predicted_ttft";  ///< of the table, or "oracle"
  std::size_t routers = 1;
  std::vector<WorkerSpec> workers;
  double load = 0.5;   ///< of what the workers compute when nothing is cached; see arrival_stretch()
  double stretch = 0;  ///< of the trace's arrival times, in place of `load`; 0: what `load` makes it
  std::uint64_t seed = 1;
  double step_noise = 0;  ///< of a step's time: standard deviation of its logarithm
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration line = std::chrono::microseconds(500);  ///< one way
  double transfer_token_us = 2;                    ///< of pages between workers, as its lines are
  double assumed_transfer_token_us = 0;  ///< as routers think before they have learnt; 0: as they are
  std::uint32_t min_fetch_tokens = 256;  ///< the routers' own
  bool baselines_fetch = false;          ///< as published they do not; else by their rule of thumb
  EventFaults faults;
  std::vector<Death> deaths;
  Duration noticed = std::chrono::milliseconds(50);     ///< a death, by the connection that ends
  std::optional<Duration> first_token_slo;              ///< the router's own
  std::size_t max_requests = 0;                         ///< 0: the whole trace
  std::function<void(std::uint64_t done)> on_progress;  ///< requests that are over
  std::function<bool()> stop;                           ///< asked now and then
};

struct RequestOutcome {
  Duration arrived{};
  Duration first_token{};     ///< from its arrival
  Duration between_tokens{};  ///< mean
  Duration longest_between{};
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  std::uint32_t cached_tokens = 0;  ///< that the worker really had
  std::uint32_t replays = 0;
  bool refused = false;
  bool finished = false;
  std::optional<std::size_t> worker = {};  ///< that made its tokens, the last one if several did
};

struct SimulationResult {
  std::vector<RequestOutcome> requests;  ///< in the trace's order
  Duration elapsed{};                    ///< from the first arrival to the last end
  Duration stepping{};                   ///< of all workers together
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0, disaggregated = 0;
  std::uint64_t fetches = 0, fetched_tokens = 0;  ///< prompts whose pages came from a peer's cache
  std::uint64_t snapshots = 0;                    ///< asked after gaps
  std::uint32_t peak_pages = 0;  ///< of 64 tokens, in use at once on one worker, cached ones aside
  double prediction_error = 0;   ///< mean relative error of predicted first tokens, second half
  bool interrupted = false;
};

/// What the trace's arrivals are multiplied with to make `load`: 1 keeps every worker of speed 1 busy all
/// the time if nothing is cached and decode steps hold 16 rows.
[[nodiscard]] double arrival_stretch(const Trace& trace, const SimulationOptions& options);

/// Errors: config_invalid (an unknown policy, no workers).
[[nodiscard]] Expected<SimulationResult> simulate(const Trace& trace, const SimulationOptions& options);

}  // namespace troupe::router
