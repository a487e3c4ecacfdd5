#pragma once
// Sends a workload to one endpoint as its pacer says and returns what each request came to.
#include <functional>
#include <string>
#include <vector>

#include "services/bench/pacer.hpp"
#include "services/bench/record.hpp"

namespace troupe::load {

struct Endpoint {
  Url url;
  std::shared_ptr<const TlsTrust> trust = nullptr;  ///< of an https URL; null: the system's authorities
  RequestSettings settings;
  StreamLimits limits;
};

struct RunOptions {
  PacerOptions pace;
  std::uint64_t first_index = 0;  ///< of the workload
  std::string mark;               ///< put before each prompt, see marked()
  int interrupt_fd = -1;
  std::function<void(std::uint64_t done, Duration elapsed)> on_progress;
};

struct RunResult {
  std::vector<Record> records;  ///< in order of their ends
  Duration elapsed{};           ///< from the begin to the last end
  bool interrupted = false;     ///< by the user: answers then open are not among the records
};

/// Errors: peer_lost when the host has no address; what happens to single requests is in their records.
/// Threads: the caller's alone.
[[nodiscard]] Expected<RunResult> run_load(const Endpoint& endpoint, const Workload& workload,
                                           const RunOptions& options);

}  // namespace troupe::load
