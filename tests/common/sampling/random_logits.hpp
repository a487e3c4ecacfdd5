#pragma once
// Logits for tests, from the standard's Mersenne twister alone: the same on every machine up to libm's last bit.
#include <cmath>
#include <random>
#include <vector>

namespace troupe {

/// `vocab` normally distributed numbers about 0.
inline std::vector<float> random_logits(std::size_t vocab, std::uint32_t seed, float spread) {
  std::mt19937 rng(seed);
  std::vector<float> logits(vocab);
  for (float& x : logits) {
    const double u = (static_cast<double>(rng()) + 0.5) / 4294967296.0, v = static_cast<double>(rng()) / 4294967296.0;
    x = spread * static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307 * v));
  }
  return logits;
}

}  // namespace troupe
