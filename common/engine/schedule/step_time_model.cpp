#include "common/engine/schedule/step_time_model.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace troupe::engine {
namespace {

constexpr double kNewest = 0.25;    // weight of a new sample in its class
constexpr double kMostJump = 4.0;   // a sample counts as at most this many times its class's mean
constexpr double kRidge = 1e-9;     // of the diagonal: keeps equal columns solvable

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;

/// Solves the system restricted to the features in `mask`; the others are 0. None when it is singular.
std::optional<Vector> solve(Matrix a, Vector b, unsigned mask) {
  for (std::size_t i = 0; i < 3; ++i) {
    if ((mask >> i & 1) != 0) {
      a[i][i] += a[i][i] * kRidge;
      continue;
    }
    for (std::size_t j = 0; j < 3; ++j) a[i][j] = a[j][i] = 0;
    a[i][i] = 1;
    b[i] = 0;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    if (!(a[i][i] > 0)) return std::nullopt;  // positive definite: no pivoting is needed
    for (std::size_t j = i + 1; j < 3; ++j) {
      const double factor = a[j][i] / a[i][i];
      for (std::size_t k = i; k < 3; ++k) a[j][k] -= factor * a[i][k];
      b[j] -= factor * b[i];
    }
  }
  for (std::size_t i = 3; i-- > 0;) {
    for (std::size_t j = i + 1; j < 3; ++j) b[i] -= a[i][j] * b[j];
    b[i] /= a[i][i];
  }
  return b;
}

/// What the squared error is above its constant part.
double error_of(const Matrix& a, const Vector& b, const Vector& x) {
  double error = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    error -= 2 * b[i] * x[i];
    for (std::size_t j = 0; j < 3; ++j) error += x[i] * a[i][j] * x[j];
  }
  return error;
}

}  // namespace

void StepTimeModel::add(const StepLoad& load, double seconds) {
  if (load.rows == 0 || !(seconds > 0) || !std::isfinite(seconds)) return;
  const auto row_class = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(load.rows)), kRowClasses - 1);
  const auto context_class = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(load.context)), kContextClasses - 1);
  Class& cell = classes_[row_class * kContextClasses + context_class];
  if (cell.count > 0) seconds = std::min(seconds, cell.seconds * kMostJump);
  cell.count += cell.count < UINT32_MAX ? 1 : 0;
  // A plain mean at first, then one that forgets.
  const double share = std::max(kNewest, 1.0 / cell.count);
  cell.rows += share * (static_cast<double>(load.rows) - cell.rows);
  cell.context += share * (static_cast<double>(load.context) - cell.context);
  cell.seconds += share * (seconds - cell.seconds);
  samples_ += 1;
  stale_ = true;
}

StepTimeModel::Coefficients StepTimeModel::coefficients() const {
  if (!stale_) return fitted_;
  stale_ = false;
  // Rows of the system are divided by the measured time, so that a short step counts as much as a long one.
  constexpr Vector kScale = {1.0, 1.0 / 64, 1.0 / 65536};  // features of like size
  Matrix a{};
  Vector b{};
  for (const Class& cell : classes_) {
    if (cell.count == 0) continue;
    const Vector x = {kScale[0] / cell.seconds, cell.rows * kScale[1] / cell.seconds, cell.context * kScale[2] / cell.seconds};
    for (std::size_t i = 0; i < 3; ++i) {
      b[i] += x[i];
      for (std::size_t j = 0; j < 3; ++j) a[i][j] += x[i] * x[j];
    }
  }
  // Three features: the best solution without a negative part is found by trying every subset.
  double best_error = 0;
  Vector best{};
  for (unsigned mask = 1; mask < 8; ++mask) {
    const auto x = solve(a, b, mask);
    if (!x || std::any_of(x->begin(), x->end(), [](double value) { return value < 0; })) continue;
    const double error = error_of(a, b, *x);
    if (error < best_error) best_error = error, best = *x;
  }
  fitted_ = {best[0] * kScale[0], best[1] * kScale[1], best[2] * kScale[2]};
  return fitted_;
}

double StepTimeModel::predict(const StepLoad& load) const {
  const Coefficients c = coefficients();
  return c.fixed + c.per_row * static_cast<double>(load.rows) + c.per_context * static_cast<double>(load.context);
}

}  // namespace troupe::engine
