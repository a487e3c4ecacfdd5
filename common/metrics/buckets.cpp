#include "common/metrics/buckets.hpp"

namespace troupe::metrics {
namespace {

std::vector<double> powers(double first, double factor, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

}  // namespace

const std::vector<double>& latency_buckets() {
  static const std::vector<double> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                           0.5,   1,      2.5,   5,    10,    30,   60,  120};
  return kBounds;
}

const std::vector<double>& step_buckets() {
  static const std::vector<double> kBounds{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                           0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                           0.5,     1,      2.5,     5,      10};
  return kBounds;
}

const std::vector<double>& size_buckets() {
  static const std::vector<double> kBounds = powers(1024, 4, 12);
  return kBounds;
}

const std::vector<double>& count_buckets() {
  static const std::vector<double> kBounds = powers(1, 2, 18);
  return kBounds;
}

}  // namespace troupe::metrics
