#pragma once
// How often a drafter's guesses are right, learnt while serving: a drafter says how sure it is, and this says
// what that has been worth. Guesses of like confidence are counted together, recent ones more: text changes
// from prose to code and back.
#include <algorithm>
#include <array>
#include <cstddef>

namespace troupe::speculation {

/// Threads: one owner. Cost: O(1).
class Acceptance {
 public:
  /// `discount`: what a count is worth one guess later; 1 / (1 - discount) guesses are remembered.
  explicit Acceptance(double discount) : discount_(discount) {}

  /// A guess of this confidence was right or wrong; one whose parent was rejected is neither.
  void saw(float confidence, bool accepted) {
    Bin& bin = bins_[bin_of(confidence)];
    bin.offered = bin.offered * discount_ + 1;
    bin.accepted = bin.accepted * discount_ + (accepted ? 1 : 0);
  }
  /// Probability that a guess of this confidence is right; `otherwise` counts as much as kPrior guesses.
  [[nodiscard]] double estimate(float confidence, double otherwise) const {
    const Bin& bin = bins_[bin_of(confidence)];
    return (bin.accepted + kPrior * otherwise) / (bin.offered + kPrior);
  }

  static constexpr std::size_t kBins = 16;
  static constexpr double kPrior = 3;

 private:
  static std::size_t bin_of(float confidence) {
    return std::min(kBins - 1,
                    static_cast<std::size_t>(std::clamp(confidence, 0.0F, 1.0F) * static_cast<float>(kBins)));
  }
  struct Bin {
    double offered = 0, accepted = 0;
  };
  std::array<Bin, kBins> bins_{};
  double discount_;
};

}  // namespace troupe::speculation
