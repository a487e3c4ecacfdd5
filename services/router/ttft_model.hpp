#pragma once
// What a placement costs on one worker until its first token, learnt from what placements took:
//
//   TTFT = base + queued * tokens ahead + token * own uncached tokens + row * decode rows * steps
//
// where `steps` are the chunks that tokens ahead and own ones take: a decode row is paid once in each.
// Recursive least squares with directional forgetting over relative errors (seconds-long prompts do not drown
// the short ones), errors beyond three deviations clipped until they come in a row, coefficients kept within
// physical bounds.
#include <array>
#include <cstdint>

namespace troupe::router {

/// All in microseconds.
struct TtftCoefficients {
  double base = 5000;
  double queued = 100;  ///< a token that is computed before
  double token = 100;   ///< an own one
  double row = 200;     ///< a decode row in one step
};

struct TtftFeatures {
  double queued_tokens = 0, own_tokens = 0, decode_rows = 0;
  /// Steps of the worker until the first token.
  [[nodiscard]] double steps() const;
};

[[nodiscard]] double predicted_us(const TtftCoefficients& costs, const TtftFeatures& what);

/// Threads: one. Cost: O(1).
class TtftModel {
 public:
  TtftModel() : TtftModel(TtftCoefficients{}) {}
  /// `prior` holds until the first observations, which scale it.
  explicit TtftModel(const TtftCoefficients& prior);

  void learn(const TtftFeatures& what, double took_us);
  [[nodiscard]] TtftCoefficients costs() const;
  [[nodiscard]] std::uint64_t observations() const { return observations_; }
  /// Running mean of the error before each lesson, as a logarithm.
  [[nodiscard]] double relative_error() const { return deviation_; }

 private:
  static constexpr std::size_t kTerms = 4;
  using Vector = std::array<double, kTerms>;
  void bound();
  void doubt();
  void rescale(double logarithm);
  [[nodiscard]] double error_limit() const;
  [[nodiscard]] double change(double error);
  void update(const Vector& x, double error, double noise);

  Vector theta_{};
  std::array<Vector, kTerms> covariance_{};
  double deviation_ = 0.5;
  int run_ = 0;  // of clipped errors of one sign
  double run_least_ = 0;
  std::uint64_t observations_ = 0;
};

}  // namespace troupe::router
