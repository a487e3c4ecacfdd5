#include "common/engine/tier/fetch_choice.hpp"

#include <algorithm>

namespace troupe::engine {
namespace {

Duration in_seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

}  // namespace

double prefill_seconds(std::uint32_t before, std::uint32_t tokens, std::uint32_t rows,
                       const StepTimeModel& steps) {
  if (tokens == 0) return 0;
  const std::uint32_t further_steps = (tokens - 1) / std::max(1U, rows);
  return steps.predict(chunk_load(before, tokens)) + further_steps * steps.coefficients().fixed;
}

FetchChoice choose_fetch(double read_seconds, std::uint32_t before, std::uint32_t tokens, std::uint32_t rows,
                         const StepTimeModel& steps) {
  if (tokens == 0) return {};
  if (!steps.ready()) return {true, std::min(kMostPatience, kFirstPatience + in_seconds(4 * read_seconds))};
  const double compute = prefill_seconds(before, tokens, rows, steps);
  return {read_seconds < compute, std::min(kMostPatience, in_seconds(compute))};
}

}  // namespace troupe::engine
