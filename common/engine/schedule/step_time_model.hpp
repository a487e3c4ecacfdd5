#pragma once
// How long a step takes, learnt from the steps that ran: seconds = fixed + per_row * rows + per_context * context, where
// `context` counts the tokens that all rows of the step attend to. Sarathi-Serve profiles this ahead of time [Agrawal et al.
// 2024, arXiv:2403.02310, section 4.3]; here it is measured while serving, so that a slower machine is learnt too.
#include <array>
#include <cstdint>

namespace troupe::engine {

/// What a step computes.
struct StepLoad {
  std::uint64_t rows = 0;
  std::uint64_t context = 0;  ///< tokens attended to, summed over the rows
};

/// A chunk of `rows` tokens behind `before` computed ones.
[[nodiscard]] constexpr StepLoad chunk_load(std::uint64_t before, std::uint64_t rows) {
  return {rows, rows * before + rows * (rows + 1) / 2};
}

/// Least squares over relative errors with coefficients that are never negative. Samples are kept as running means of classes
/// of like steps (powers of two), each class counting once: a thousand small steps do not make a large one forgotten, and a
/// class follows the machine within a few steps. One sample moves its class by a bounded factor.
/// Threads: one owner. Cost: add O(1); the first question after it O(classes seen).
class StepTimeModel {
 public:
  struct Coefficients {
    double fixed = 0, per_row = 0, per_context = 0;  ///< seconds
  };

  /// A finished step. Nothing is learnt from no rows or from no time (a clock that stands still).
  void add(const StepLoad& load, double seconds);

  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  /// Enough is known to predict.
  [[nodiscard]] bool ready() const { return samples_ >= kReadySamples; }
  [[nodiscard]] Coefficients coefficients() const;
  /// Seconds; 0 before the first sample.
  [[nodiscard]] double predict(const StepLoad& load) const;

  static constexpr std::uint64_t kReadySamples = 4;

 private:
  static constexpr std::size_t kRowClasses = 20, kContextClasses = 40;
  struct Class {
    double rows = 0, context = 0, seconds = 0;
    std::uint32_t count = 0;
  };

  std::array<Class, kRowClasses * kContextClasses> classes_{};
  std::uint64_t samples_ = 0;
  mutable Coefficients fitted_;
  mutable bool stale_ = false;
};

}  // namespace troupe::engine
