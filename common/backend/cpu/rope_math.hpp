#pragma once
// exp, log, sine and cosine in double for rotary tables: plain operations in one fixed order, so that no C library's
// choice of algorithm enters a result. Errors are below 1e-15 relative (absolute for sine and cosine).

namespace troupe::backend::cpu {

[[nodiscard]] double exact_exp(double x);  ///< |x| <= 700
[[nodiscard]] double exact_log(double x);  ///< x > 0, normal
struct SineCosine {
  double sine;
  double cosine;
};
[[nodiscard]] SineCosine exact_sine_cosine(double angle);  ///< |angle| < 2^30

/// base^(-2i / dims), the angle per position of pair i.
[[nodiscard]] double rope_frequency(double base, unsigned pair, unsigned dims);

}  // namespace troupe::backend::cpu
