#pragma once
// Which rows a step computes, and how many: the token budget is fixed, or the largest one whose predicted time keeps the
// streams' inter-token time [Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310, section 4.3].
#include <algorithm>
#include <span>
#include <vector>

#include "common/base/clock.hpp"
#include "common/engine/schedule/row_planner.hpp"
#include "common/engine/schedule/step_residuals.hpp"
#include "common/engine/schedule/step_time_model.hpp"

namespace troupe::engine {

/// What a step of these rows costs.
[[nodiscard]] StepLoad load_of(std::span<const RowDemand> demands, std::span<const std::uint32_t> rows);

/// Threads: one owner. No clock of its own: the owner says how long a step took.
class StepScheduler {
 public:
  /// `itl_slo` 0: limits.budget is the budget of every step.
  StepScheduler(const RowLimits& limits, Duration itl_slo) : limits_(limits), itl_slo_(itl_slo) {}

  struct Plan {
    std::vector<std::uint32_t> rows;  ///< of each entry, in the order of the demands
    std::uint32_t budget = 0;
  };
  /// Prompts are served in the order of `demands`.
  [[nodiscard]] Plan plan(std::span<const RowDemand> demands) const;
  /// The budget of a step over these demands. A step without streams keeps nobody waiting and takes all of limits.budget.
  /// Departs from the paper: prompts always get kLeastPromptRows, so that an SLO that cannot be met starves nobody; and the
  /// budget grows at most twofold beyond the steps of streams and prompts that were measured, the first such step being small:
  /// what prompts alone cost says little about rows beside long streams.
  [[nodiscard]] std::uint32_t budget(std::span<const RowDemand> demands) const;

  /// `streams`: how many of the rows were theirs.
  void finished(const StepLoad& load, std::uint64_t streams, Duration time) {
    const double seconds = std::chrono::duration<double>(time).count();
    if (streams == load.rows && model_.ready()) residuals_.add(load.rows, model_.predict(load), seconds);
    model_.add(load, seconds);
    if (streams > 0 && streams < load.rows && time > Duration::zero()) most_mixed_rows_ = std::max(most_mixed_rows_, load.rows);
  }
  [[nodiscard]] const StepTimeModel& model() const { return model_; }
  /// Seconds of a step of streams alone, their drafts included, corrected by what such steps took; 0 before the model is ready.
  [[nodiscard]] double stream_seconds(const StepLoad& load) const {
    return model_.ready() ? model_.predict(load) * residuals_.ratio(load.rows) : 0;
  }

  static constexpr std::uint32_t kTile = 8;              ///< budgets are multiples: products work on whole tiles of rows
  static constexpr std::uint32_t kLeastPromptRows = 8;
  static constexpr std::uint32_t kStartPromptRows = 32;  ///< before anything is measured

 private:
  RowLimits limits_;
  Duration itl_slo_;
  StepTimeModel model_;
  StepResiduals residuals_;
  std::uint64_t most_mixed_rows_ = 0;  // of a step of streams and prompts
};

}  // namespace troupe::engine
