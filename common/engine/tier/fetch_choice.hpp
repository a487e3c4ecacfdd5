#pragma once
// Whether pages that a prompt goes on with are read from disk or computed again, and how long to wait for
// them.
#include <cstdint>

#include "common/base/clock.hpp"
#include "common/engine/schedule/step_time_model.hpp"

namespace troupe::engine {

struct FetchChoice {
  bool read = false;
  Duration patience{0};  ///< afterwards what has not come is computed
};

/// Seconds to compute `tokens` prompt tokens behind `before`, in steps of `rows`. Pure.
[[nodiscard]] double prefill_seconds(std::uint32_t before, std::uint32_t tokens, std::uint32_t rows,
                                     const StepTimeModel& steps);

/// Reads what is predicted to come sooner than it is computed, and waits no longer than computing would have
/// taken: a disk that stalls costs at most that time once more. Before steps are measured it reads,
/// and waits kFirstPatience and four times what the read should take. Never longer than kMostPatience. Pure.
[[nodiscard]] FetchChoice choose_fetch(double read_seconds, std::uint32_t before, std::uint32_t tokens,
                                       std::uint32_t rows, const StepTimeModel& steps);
inline constexpr Duration kFirstPatience = std::chrono::milliseconds(500);
inline constexpr Duration kMostPatience =
    std::chrono::seconds(10);  ///< well before a worker is taken to hang

}  // namespace troupe::engine
