#include "services/router/online_fit.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::router {
namespace {

constexpr double kForget = 0.98;            // half of an observation's weight is gone after 34 like it
constexpr double kPriorVariance = 0.25;     // of a coefficient, relative to its square
constexpr double kNoise = 0.1;              // of one observation, relative to what was expected
constexpr double kFloorUs = 500;            // errors below this are the clock's and the network's
constexpr std::uint64_t kScaleLessons = 4;  // by which all coefficients are scaled alike
constexpr double kSmallestError = 0.05, kClip = 3;
constexpr int kNewTimes = 5;       // as many clipped errors of one sign in a row are no outliers
constexpr double kMostScale = 10;  // e to this

template <std::size_t N>
double dot(const std::array<double, N>& a, const std::array<double, N>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < N; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

template <std::size_t N>
OnlineFit<N>::OnlineFit(const Vector& prior, Bound bound) : theta_(prior), bound_(bound) {
  bound_(theta_);
  doubt();
}

template <std::size_t N>
void OnlineFit<N>::doubt() {
  for (std::size_t i = 0; i < N; ++i)
    covariance_[i][i] += std::max(kPriorVariance * theta_[i] * theta_[i], kFloorUs * kFloorUs);
}

template <std::size_t N>
void OnlineFit<N>::learn(const Vector& x, double took_us) {
  if (!(took_us >= 0) || !std::isfinite(took_us)) return;
  const double took = std::max(took_us, kFloorUs);
  const auto ratio = [&] { return std::log(took / std::max(dot(theta_, x), kFloorUs)); };
  if (observations_++ < kScaleLessons) rescale(ratio() / static_cast<double>(observations_));
  if (const double changed = change(ratio()); changed != 0) rescale(changed);
  const double expected = std::max(dot(theta_, x), kFloorUs);  // errors are relative to it
  const double limit = error_limit();
  update(x, (std::exp(std::clamp(ratio(), -limit, limit)) - 1) * expected, kNoise * expected);
  bound_(theta_);
}

/// As a logarithm, which is as large for a third as for three times.
template <std::size_t N>
double OnlineFit<N>::error_limit() const {
  return std::min(kClip * std::max(deviation_, kSmallestError), std::log(2.0));
}

/// The whole is faster or slower than it was thought to be.
template <std::size_t N>
void OnlineFit<N>::rescale(double logarithm) {
  const double times = std::exp(std::clamp(logarithm, -kMostScale, kMostScale));
  for (double& each : theta_) each *= times;
  bound_(theta_);
  covariance_ = {};
  doubt();
}

/// Notes an error. A row of clipped ones of one sign are no outliers: the least of them is the change.
template <std::size_t N>
double OnlineFit<N>::change(double error) {
  const bool clipped = std::abs(error) > error_limit();
  deviation_ += 0.05 * (std::min(std::abs(error), 1.0) - deviation_);
  if (!clipped || (error > 0) != (run_least_ > 0)) run_ = 0;
  if (!clipped) return 0;
  if (run_++ == 0 || std::abs(error) < std::abs(run_least_)) run_least_ = error;
  if (run_ < kNewTimes) return 0;
  run_ = 0;
  return run_least_;
}

/// Recursive least squares with directional forgetting [Kulhavy 1987]: what is observed again is forgotten by
/// it, what is not observed stays. An hour of one kind of case teaches nothing about the others.
template <std::size_t N>
void OnlineFit<N>::update(const Vector& x, double error, double noise) {
  Vector px{};
  for (std::size_t i = 0; i < N; ++i) px[i] = dot(covariance_[i], x) / noise;
  const double known = dot(x, px) / noise;
  if (!(known > 1e-9)) return;
  for (std::size_t i = 0; i < N; ++i) theta_[i] += px[i] / (1 + known) * error / noise;
  const double keep = kForget - (1 - kForget) / known;
  if (keep == 0) return;
  const double shrink = 1 / (1 / keep + known);
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = 0; j < N; ++j) covariance_[i][j] -= px[i] * px[j] * shrink;
}

template class OnlineFit<2>;
template class OnlineFit<4>;

}  // namespace troupe::router
