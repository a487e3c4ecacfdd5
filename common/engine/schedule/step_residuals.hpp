#pragma once
// What the step-time model misses about steps of few rows: products work on tiles, caches end somewhere, so
// the third row may cost nothing and the ninth a lot. Whether a draft pays is decided by exactly these rows.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace troupe::engine {

/// Measured over predicted seconds, by rows: each number up to 16, beyond that powers of two. A ratio that is
/// not measured again fades to 1, so that one bad moment does not forbid a number of rows for good. Threads:
/// one owner. Cost: O(classes), few.
class StepResiduals {
 public:
  /// Nothing is learnt without both times.
  void add(std::uint64_t rows, double predicted, double measured) {
    if (rows == 0 || !(predicted > 0) || !(measured > 0)) return;
    for (double& ratio : ratios_) ratio += kFade * (1 - ratio);
    double& ratio = ratios_[class_of(rows)];
    ratio += kNewest * (std::clamp(measured / predicted, 1 / kMost, kMost) - ratio);
  }
  /// What to multiply a prediction by.
  [[nodiscard]] double ratio(std::uint64_t rows) const { return rows == 0 ? 1 : ratios_[class_of(rows)]; }

 private:
  static constexpr double kNewest = 0.2, kFade = 0.002, kMost = 4;
  static constexpr std::size_t kExact = 16, kClasses = kExact + 16;

  static std::size_t class_of(std::uint64_t rows) {
    if (rows <= kExact) return static_cast<std::size_t>(rows) - 1;
    return std::min<std::size_t>(kClasses - 1,
                                 kExact + static_cast<std::size_t>(std::bit_width(rows - 1)) - 5);
  }
  std::array<double, kClasses> ratios_ = [] {
    std::array<double, kClasses> ones{};
    ones.fill(1);
    return ones;
  }();
};

}  // namespace troupe::engine
