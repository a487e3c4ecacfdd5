#pragma once
// How many workers some traffic needs: simulated clusters of one size after the other, until the least is
// found that meets the objectives.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/router/simulator/report.hpp"

namespace troupe::router {

struct CapacityGoal {
  Objectives objectives;
  double share = 0.99;  ///< of all requests, refused and unfinished ones among them, that must be good
  std::size_t most_workers = 256;
};

/// One size that was tried.
struct CapacityTry {
  std::size_t workers = 0;
  SimulationSummary summary;
  double good_share = 0;
  bool meets = false;
  std::uint32_t peak_pages = 0;  ///< of 64 tokens, in use at once on one worker
};

struct CapacityAnswer {
  std::vector<CapacityTry> tries;      ///< by workers
  std::optional<std::size_t> workers;  ///< none: not even most_workers do
};

using Attempt = std::function<Expected<CapacityTry>(std::size_t workers)>;

/// Doubles until a size does, halves the distance to the largest that did not, and then goes up until one
/// more worker does as well: a simulation is one draw, and a size that holds by luck beside one that does not
/// is no answer. Asks for a size once. Errors: those of `attempt`.
[[nodiscard]] Expected<CapacityAnswer> least_workers(std::size_t most, const Attempt& attempt);

/// Simulates `workers` copies of options.workers.front(). Errors: those of simulate(); cancelled.
[[nodiscard]] Expected<CapacityTry> try_workers(const Trace& trace, SimulationOptions options,
                                                const CapacityGoal& goal, std::size_t workers);

/// A row per size.
[[nodiscard]] std::string capacity_table(const CapacityAnswer& answer);
/// {"workers": 3, "tries": [...]}; workers is null when none of them do. `page_bytes` 0: not known.
[[nodiscard]] std::string capacity_json(const CapacityAnswer& answer, std::uint64_t page_bytes);

}  // namespace troupe::router
