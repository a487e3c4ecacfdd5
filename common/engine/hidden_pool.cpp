#include "common/engine/hidden_pool.hpp"

#include <cmath>

#include "common/base/error.hpp"

namespace troupe::engine {

HiddenPool::HiddenPool(Pooling pooling, std::uint32_t tokens, std::uint32_t width)
    : pooling_(pooling), tokens_(tokens), sum_(width, 0.0) {
  if (pooling_ == Pooling::last) next_ = tokens_ - 1;
}

bool HiddenPool::wants(std::uint32_t index) const {
  return index >= next_ && index < tokens_;
}

void HiddenPool::take(std::uint32_t index, std::span<const float> state) {
  if (index != next_ || next_ == tokens_) return;
  TROUPE_CHECK(state.size() == sum_.size(), "a state has another width");
  for (std::size_t i = 0; i < state.size(); ++i) sum_[i] += static_cast<double>(state[i]);
  ++next_;
}

// The mean's direction is that of the sum.
std::vector<float> HiddenPool::vector() const {
  return normalised(sum_);
}

std::vector<float> normalised(std::span<const double> vector) {
  double squares = 0;
  for (const double value : vector) squares += value * value;
  const double length = std::sqrt(squares);
  std::vector<float> out(vector.size(), 0.0F);
  if (!(length > 0)) return out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(vector[i] / length);
  return out;
}

}  // namespace troupe::engine
