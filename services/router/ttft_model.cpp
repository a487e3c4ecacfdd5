#include "services/router/ttft_model.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::router {
namespace {

constexpr double kChunkTokens = 512;  // of a step, nominal; what is wrong about it ends up in `row`
constexpr std::array<double, 4> kScale = {1, 1024, 1024, 16};

std::array<double, 4> scaled(const TtftFeatures& what) {
  return {1, what.queued_tokens / kScale[1], what.own_tokens / kScale[2],
          what.decode_rows * what.steps() / kScale[3]};
}

void bound(std::array<double, 4>& theta) {
  constexpr double kLongestUs = 6e7, kLeastToken = 0.01, kMostToken = 1e6;
  theta[0] = std::clamp(theta[0], 0.0, kLongestUs);
  theta[2] = std::clamp(theta[2], kLeastToken * kScale[2], kMostToken * kScale[2]);
  // A token ahead is computed by the same worker: it costs about what an own one does, or less where it is
  // through before the own one's turn.
  theta[1] = std::clamp(theta[1], 0.25 * theta[2], 2 * theta[2]);
  theta[3] = std::clamp(theta[3], 0.0, kMostToken * kScale[3]);
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
    : fit_({prior.base * kScale[0], prior.queued * kScale[1], prior.token * kScale[2], prior.row * kScale[3]},
           bound) {}

TtftCoefficients TtftModel::costs() const {
  const auto& theta = fit_.coefficients();
  return {theta[0] / kScale[0], theta[1] / kScale[1], theta[2] / kScale[2], theta[3] / kScale[3]};
}

void TtftModel::learn(const TtftFeatures& what, double took_us) {
  fit_.learn(scaled(what), took_us);
}

}  // namespace troupe::router
