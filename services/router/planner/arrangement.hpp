#pragma once
// Prefill and decode apart, or every worker doing both? Predicted from what is asked and what workers take,
// in closed form: a step costs a base, each decode row and each prompt token in it, as the learnt first
// tokens say (ttft_model), and prompts queue for a worker as in M/G/1.
//
// Hybrids share every prompt, but a long one's chunks stretch the steps that make other requests' tokens.
// Apart, decode steps stay short, but a long prompt has fewer workers to compute it, its pages cross, and
// workers of one role cannot help the other. Neither is better always: long prompts beside many streams ask
// for two roles, short prompts or long answers alone for hybrids.
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/clock.hpp"

namespace troupe::router {

/// What is asked of a cluster. Rates are requests per second, tokens means over a kind's requests.
struct Traffic {
  double short_prompts = 0, long_prompts = 0;  ///< long: enough uncached tokens for a prefill worker
  double short_tokens = 0, long_tokens = 0;    ///< uncached ones of a prompt
  double answer_tokens = 0;                    ///< of an answer, of either kind
};

/// Counts placements and tokens and lets them fade. Threads: one. Cost: O(1).
class TrafficMeter {
 public:
  /// What is `window` old counts 1/e.
  explicit TrafficMeter(Duration window) : window_(window) {}
  void placed(double uncached_tokens, bool is_long, TimePoint now);
  void generated(double tokens, TimePoint now);
  [[nodiscard]] Traffic traffic(TimePoint now);
  /// Placements that still count.
  [[nodiscard]] double placements(TimePoint now);

 private:
  void fade(TimePoint now);

  Duration window_;
  std::optional<TimePoint> began_, at_;
  double short_count_ = 0, long_count_ = 0, short_tokens_ = 0, long_tokens_ = 0, generated_ = 0;
};

/// Of a worker, in microseconds; the mean over those there are.
struct StepCosts {
  double base = 5000;         ///< a step
  double token = 100;         ///< a prompt token in it
  double row = 200;           ///< a decode row in it
  double transfer = 0;        ///< a token's pages from one worker to another
  double chunk_tokens = 512;  ///< of prompts in one step at most
};

/// How a cluster would serve that traffic.
struct Prediction {
  bool bears = false;                            ///< else queues grow and the times below mean nothing
  double busy = 0;                               ///< share of time of its busiest workers
  double between_tokens_tail_us = 0;             ///< mean of the longest hundredth of the waits
  double short_first_us = 0, long_first_us = 0;  ///< to the first token, mean
};

/// `prefill` of `workers` compute long prompts, the others decode and compute short ones; 0: all do both.
/// workers > prefill.
[[nodiscard]] Prediction predict(const Traffic& traffic, const StepCosts& costs, std::uint32_t workers,
                                 std::uint32_t prefill);

struct Comparison {
  Prediction hybrid, split;
  std::uint32_t prefill = 0;  ///< workers of the best split; 0: too few for any
  /// How many times shorter the split makes the longest waits between tokens, over how many times later it
  /// makes the first tokens that suffer most: above 1 the split is better. 1 where neither bears the load.
  double advantage = 1;
};
[[nodiscard]] Comparison compare(const Traffic& traffic, const StepCosts& costs, std::uint32_t workers);

enum class Arrangement : std::uint8_t { unknown, hybrid, split };
[[nodiscard]] std::string_view to_string(Arrangement arrangement);

/// A verdict that does not swing: it changes when the other one has been better by `clearly` for all of
/// `dwell`. Threads: one.
class ArrangementJudge {
 public:
  ArrangementJudge(double clearly, Duration dwell) : clearly_(clearly), dwell_(dwell) {}
  void judge(const Comparison& comparison, TimePoint now);
  [[nodiscard]] Arrangement verdict() const { return verdict_; }

 private:
  double clearly_;
  Duration dwell_;
  Arrangement verdict_ = Arrangement::unknown, leaning_ = Arrangement::unknown;
  TimePoint since_{};
};

}  // namespace troupe::router
