#include "services/router/ttft_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace troupe::router {
namespace {

constexpr double kForget = 0.98;      // half of an observation's weight is gone after 34 like it
constexpr double kChunkTokens = 512;  // of a step, nominal; what is wrong about it ends up in `row`
// Features are scaled to the order of one, or the covariance would span twelve decades.
constexpr std::array<double, 4> kScale = {1, 1024, 1024, 16};
constexpr double kPriorVariance = 0.25;     // of a coefficient, relative to its square
constexpr double kNoise = 0.1;              // of one observation, relative to what was expected
constexpr double kFloorUs = 500;            // errors below this are the clock's and the network's
constexpr std::uint64_t kScaleLessons = 4;  // by which all coefficients are scaled alike
constexpr double kSmallestError = 0.05, kClip = 3;
constexpr int kNewTimes = 4;  // as many clipped errors of one sign are no outliers

std::array<double, 4> scaled(const TtftFeatures& what) {
  return {1, what.queued_tokens / kScale[1], what.own_tokens / kScale[2],
          what.decode_rows * what.steps() / kScale[3]};
}

double dot(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

double TtftFeatures::steps() const {
  return std::max(1.0, std::ceil((queued_tokens + own_tokens) / kChunkTokens));
}

double predicted_us(const TtftCoefficients& costs, const TtftFeatures& what) {
  return costs.base + costs.queued * what.queued_tokens + costs.token * what.own_tokens +
         costs.row * what.decode_rows * what.steps();
}

TtftModel::TtftModel(const TtftCoefficients& prior)
    : theta_{prior.base * kScale[0], prior.queued * kScale[1], prior.token * kScale[2],
             prior.row * kScale[3]} {
  bound();
  doubt();
}

void TtftModel::doubt() {
  for (std::size_t i = 0; i < kTerms; ++i)
    covariance_[i][i] += std::max(kPriorVariance * theta_[i] * theta_[i], kFloorUs * kFloorUs);
}

TtftCoefficients TtftModel::costs() const {
  return {theta_[0] / kScale[0], theta_[1] / kScale[1], theta_[2] / kScale[2], theta_[3] / kScale[3]};
}

void TtftModel::learn(const TtftFeatures& what, double took_us) {
  if (!(took_us >= 0) || !std::isfinite(took_us)) return;
  const Vector x = scaled(what);
  if (observations_++ < kScaleLessons) rescale(took_us / std::max(dot(theta_, x), 1.0));
  const double expected = dot(theta_, x);
  const double unit = std::max(expected, kFloorUs);  // errors are relative to what was expected
  update(x, clipped((took_us - expected) / unit) * unit, kNoise * unit);
  bound();
}

/// The first lessons tell how fast the worker is as a whole: their geometric mean.
void TtftModel::rescale(double times) {
  times = std::pow(std::clamp(times, 1e-4, 1e4), 1 / static_cast<double>(observations_));
  for (double& each : theta_) each *= times;
  bound();
  covariance_ = {};
  doubt();
}

/// What of a relative error is believed. A row of clipped ones of one sign means that the worker has changed.
double TtftModel::clipped(double error) {
  const double limit = kClip * std::max(deviation_, kSmallestError);
  deviation_ += 0.05 * (std::min(std::abs(error), 2 * limit) - deviation_);
  if (std::abs(error) <= limit) {
    clipped_run_ = 0;
    return error;
  }
  clipped_run_ = (error > 0) == (clipped_run_ > 0) ? clipped_run_ : 0;
  clipped_run_ += error > 0 ? 1 : -1;
  if (std::abs(clipped_run_) < kNewTimes) return std::clamp(error, -limit, limit);
  clipped_run_ = 0;
  deviation_ = std::max(deviation_, std::min(std::abs(error), 1.0));
  doubt();
  return error;
}

/// Recursive least squares with directional forgetting [Kulhavy 1987]: what is observed again is forgotten by
/// it, what is not observed stays. An hour of one kind of prompt teaches nothing about the others.
void TtftModel::update(const Vector& x, double error, double noise) {
  Vector px{};
  for (std::size_t i = 0; i < kTerms; ++i) px[i] = dot(covariance_[i], x) / noise;
  const double known = dot(x, px) / noise;
  if (!(known > 1e-9)) return;
  for (std::size_t i = 0; i < kTerms; ++i) theta_[i] += px[i] / (1 + known) * error / noise;
  const double keep = kForget - (1 - kForget) / known;
  if (keep == 0) return;
  const double shrink = 1 / (1 / keep + known);
  for (std::size_t i = 0; i < kTerms; ++i)
    for (std::size_t j = 0; j < kTerms; ++j) covariance_[i][j] -= px[i] * px[j] * shrink;
}

void TtftModel::bound() {
  constexpr double kLongestUs = 6e7, kLeastToken = 0.01, kMostToken = 1e6;
  theta_[0] = std::clamp(theta_[0], 0.0, kLongestUs);
  theta_[2] = std::clamp(theta_[2], kLeastToken * kScale[2], kMostToken * kScale[2]);
  // A token ahead is computed by the same worker: it costs about what an own one does, or less where it is
  // through before the own one's turn.
  theta_[1] = std::clamp(theta_[1], 0.25 * theta_[2], 2 * theta_[2]);
  theta_[3] = std::clamp(theta_[3], 0.0, kMostToken * kScale[3]);
}

}  // namespace troupe::router
