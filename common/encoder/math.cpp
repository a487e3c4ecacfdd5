#include "common/encoder/math.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "common/sampling/exact_math.hpp"

namespace troupe::encoder {
namespace {

template <std::size_t N>
double polynomial(const std::array<double, N>& coefficients, double x) {
  double sum = 0;
  for (std::size_t i = N; i > 0; --i) sum = sum * x + coefficients[i - 1];
  return sum;
}

}  // namespace

void layer_norm(std::span<float> rows, std::span<const float> weight, std::span<const float> bias,
                float eps) {
  const std::size_t width = weight.size();
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    const std::span<float> row = rows.subspan(begin, width);
    double sum = 0, squares = 0;
    for (const float value : row) sum += double{value};
    const double mean = sum / static_cast<double>(width);
    for (const float value : row) squares += (double{value} - mean) * (double{value} - mean);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + double{eps});
    for (std::size_t i = 0; i < width; ++i)
      row[i] = static_cast<float>((double{row[i]} - mean) * scale * double{weight[i]} + double{bias[i]});
  }
}

// Fitted at Chebyshev's nodes: erf(x) / x by x^2 below 1, and erfc(x) * exp(x^2) by 1 / (1 + x) from 1 to 6,
// where erf is 1.
double erf(double x) {
  static constexpr std::array<double, 10> kNear{
      1.1283791670954941,     -0.376126389028136,     0.11283791658693601,    -0.02686616906603335,
      0.005223967274334647,   -0.0008547936091578696, 0.00012046301422620901, -1.4795429492468452e-05,
      1.5308498989711211e-06, -1.0473837308630049e-07};
  static constexpr std::array<double, 12> kFar{
      -1.7296610313743965e-06, 0.5642733820920902, 0.5623539497992607, 0.30610520161835286,
      -0.49040138212469986,    0.5506056036801178, -5.474689304921933, 17.306436806464166,
      -27.79316790541902,      25.982206111173365, -13.67036442907135, 3.1675439265742993};
  const double size = std::min(std::fabs(x), 6.0);
  const double near = size * polynomial(kNear, size * size);
  const double far = 1.0 - exact::exp(-size * size) * polynomial(kFar, 1.0 / (1.0 + size));
  return std::copysign(size < 1.0 ? near : far, x);
}

void gelu(std::span<float> values) {
  constexpr double kSqrtHalf = 0.70710678118654752440;
  for (float& value : values) {
    const double x = double{value};
    value = static_cast<float>(x * 0.5 * (1.0 + erf(x * kSqrtHalf)));
  }
}

void attend(std::span<const float> q, std::span<const float> k, std::span<const float> v, std::uint32_t heads,
            std::uint32_t width, std::span<float> out) {
  const std::size_t row = std::size_t{heads} * width, tokens = q.size() / row;
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  std::vector<float> keys(width * tokens), scores(tokens);  // keys of a head: [d, T]
  for (std::size_t head = 0; head < heads; ++head) {
    const std::size_t begin = head * width;
    for (std::size_t token = 0; token < tokens; ++token)
      for (std::size_t i = 0; i < width; ++i) keys[i * tokens + token] = k[token * row + begin + i];
    for (std::size_t token = 0; token < tokens; ++token) {
      std::fill(scores.begin(), scores.end(), 0.0F);
      for (std::size_t i = 0; i < width; ++i) {
        const float own = q[token * row + begin + i];
        const float* const key = keys.data() + i * tokens;
        for (std::size_t other = 0; other < tokens; ++other) scores[other] += own * key[other];
      }
      const double most = double{*std::max_element(scores.begin(), scores.end())};
      double sum = 0;
      for (float& score : scores) {
        const double weight = exact::exp((double{score} - most) * scale);
        score = static_cast<float>(weight);
        sum += weight;
      }
      float* const to = out.data() + token * row + begin;
      std::fill(to, to + width, 0.0F);
      for (std::size_t other = 0; other < tokens; ++other) {
        const float* const from = v.data() + other * row + begin;
        for (std::size_t i = 0; i < width; ++i) to[i] += scores[other] * from[i];
      }
      for (std::size_t i = 0; i < width; ++i) to[i] = static_cast<float>(double{to[i]} / sum);
    }
  }
}

}  // namespace troupe::encoder
