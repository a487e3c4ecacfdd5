#pragma once
// What a placement costs on one worker until its first token, learnt from what placements took:
//
//   TTFT = base + queued * tokens ahead + token * own uncached tokens + row * decode rows * steps
//
// where `steps` are the chunks that tokens ahead and own ones take: a decode row is paid once in each.
#include <cstdint>

#include "services/router/online_fit.hpp"

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
  [[nodiscard]] std::uint64_t observations() const { return fit_.observations(); }
  /// Running mean of the error before each lesson, as a logarithm.
  [[nodiscard]] double relative_error() const { return fit_.relative_error(); }

 private:
  OnlineFit<4> fit_;
};

}  // namespace troupe::router
