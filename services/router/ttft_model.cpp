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
constexpr int kNewTimes = 5;       // as many clipped errors of one sign in a row are no outliers
constexpr double kMostScale = 10;  // e to this

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
  const double took = std::max(took_us, kFloorUs);
  const auto ratio = [&] { return std::log(took / std::max(dot(theta_, x), kFloorUs)); };
  if (observations_++ < kScaleLessons) rescale(ratio() / static_cast<double>(observations_));
  if (const double changed = change(ratio()); changed != 0) rescale(changed);
  const double expected = std::max(dot(theta_, x), kFloorUs);  // errors are relative to it
  const double limit = error_limit();
  update(x, (std::exp(std::clamp(ratio(), -limit, limit)) - 1) * expected, kNoise * expected);
  bound();
}

/// As a logarithm, which is as large for a third as for three times.
double TtftModel::error_limit() const {
  return std::min(kClip * std::max(deviation_, kSmallestError), std::log(2.0));
}

/// The worker as a whole is faster or slower than it was thought to be.
void TtftModel::rescale(double logarithm) {
  const double times = std::exp(std::clamp(logarithm, -kMostScale, kMostScale));
  for (double& each : theta_) each *= times;
  bound();
  covariance_ = {};
  doubt();
}

/// Notes an error. A row of clipped ones of one sign are no outliers: the least of them is the change.
double TtftModel::change(double error) {
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
