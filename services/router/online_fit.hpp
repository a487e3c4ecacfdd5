#pragma once
// Times learnt online: a sum of N terms, each a coefficient times what is known of the case. Recursive least
// squares with directional forgetting over relative errors (long cases do not drown the short ones), errors
// beyond three deviations clipped until they come in a row, coefficients kept within physical bounds.
#include <array>
#include <cstddef>
#include <cstdint>

namespace troupe::router {

/// All in microseconds. Features are scaled to the order of one, or the covariance would span twelve decades.
/// Threads: one. Cost: O(N^2).
template <std::size_t N>
class OnlineFit {
 public:
  using Vector = std::array<double, N>;
  using Bound = void (*)(Vector& coefficients);
  /// `prior` holds until the first observations, which scale it.
  OnlineFit(const Vector& prior, Bound bound);

  void learn(const Vector& features, double took_us);
  [[nodiscard]] const Vector& coefficients() const { return theta_; }
  [[nodiscard]] std::uint64_t observations() const { return observations_; }
  /// Running mean of the error before each lesson, as a logarithm.
  [[nodiscard]] double relative_error() const { return deviation_; }

 private:
  void doubt();
  void rescale(double logarithm);
  [[nodiscard]] double error_limit() const;
  [[nodiscard]] double change(double error);
  void update(const Vector& x, double error, double noise);

  Vector theta_;
  Bound bound_;
  std::array<Vector, N> covariance_{};
  double deviation_ = 0.5;
  int run_ = 0;           // of clipped errors of one sign
  double run_least_ = 0;  // of them
  std::uint64_t observations_ = 0;
};

extern template class OnlineFit<2>;
extern template class OnlineFit<4>;

}  // namespace troupe::router
