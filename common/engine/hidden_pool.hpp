#pragma once
// Pools the states of a prompt's tokens into one vector of length 1. States are added in the order of their
// tokens, in double precision, so that the vector does not depend on the chunks that they are computed in.
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/pooling.hpp"

namespace troupe::engine {

/// Threads: one.
class HiddenPool {
 public:
  /// `pooling` is not none; `tokens`: of the prompt; `width`: of a state.
  HiddenPool(Pooling pooling, std::uint32_t tokens, std::uint32_t width);

  /// Whether the state of the prompt's token `index` is still of use.
  [[nodiscard]] bool wants(std::uint32_t index) const;
  /// Ascending; a prompt that gave way is computed again from an earlier token on, and what was taken is not
  /// taken twice.
  void take(std::uint32_t index, std::span<const float> state);
  /// Whole once the last token's state was taken. All states zero: the zero vector.
  [[nodiscard]] std::vector<float> vector() const;

 private:
  const Pooling pooling_;
  const std::uint32_t tokens_;
  std::uint32_t next_ = 0;
  std::vector<double> sum_;
};

/// Scales a vector to length 1; the zero vector stays.
[[nodiscard]] std::vector<float> normalised(std::span<const double> vector);

}  // namespace troupe::engine
