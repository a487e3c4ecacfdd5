#pragma once
// What `troupe plan` is asked, read and checked: traffic, a worker, objectives.
#include <string>

#include "common/config/config.hpp"
#include "services/cli/command.hpp"
#include "services/router/simulator/capacity.hpp"

namespace troupe::cli {

/// The flags of `troupe plan`.
[[nodiscard]] const Schema& plan_schema();

struct CapacityPlan {
  router::Trace trace;
  router::SimulationOptions options;  ///< options.workers holds one: what every worker is
  router::CapacityGoal goal;
  std::uint64_t page_bytes = 0;    ///< of 64 tokens; 0: no model was named
  std::uint64_t weight_bytes = 0;  ///< of one worker
  std::string json;                ///< file, "-", or none
};

/// Errors: config_invalid, those of the trace and of the model file.
[[nodiscard]] Expected<CapacityPlan> read_capacity_plan(Arguments arguments, const Io& io);

/// What the answer means for whoever buys the machines: a few lines.
[[nodiscard]] std::string capacity_verdict(const CapacityPlan& plan, const router::CapacityAnswer& answer);

}  // namespace troupe::cli
