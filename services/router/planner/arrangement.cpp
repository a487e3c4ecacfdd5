#include "services/router/planner/arrangement.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::router {
namespace {

constexpr double kMicroseconds = 1e6;
constexpr double kTail = 0.01;         // the longest waits between tokens: so many of them
constexpr double kOverwhelming = 100;  // the advantage where only one side bears the load

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

/// Prompts of one kind on one worker.
struct Kind {
  double rate = 0, tokens = 0;
  [[nodiscard]] double chunks(const StepCosts& costs) const {
    return std::max(1.0, std::ceil(tokens / costs.chunk_tokens));
  }
  /// To compute one in steps that take `step` without it.
  [[nodiscard]] double service(const StepCosts& costs, double step) const {
    return tokens * costs.token + chunks(costs) * step;
  }
};

/// A first come, first served queue of two kinds (Pollaczek and Khinchine).
struct Queue {
  double busy = 0, wait_us = 0;
};
Queue queue_of(const Kind& one, double one_us, const Kind& other, double other_us) {
  const double busy = (one.rate * one_us + other.rate * other_us) / kMicroseconds;
  const double residual = (one.rate * one_us * one_us + other.rate * other_us * other_us) / kMicroseconds / 2;
  return {busy, busy < 1 ? residual / (1 - busy) : 0};
}

/// A worker that makes `tokens` a second beside these prompts: how long its steps are.
struct Steps {
  double busy = 0;
  double plain_us = 0;  ///< without prompts
  double tail_us = 0;   ///< mean of the longest hundredth
};
Steps steps_of(const Kind& shorts, const Kind& longs, double tokens, const StepCosts& costs) {
  Steps steps;
  const double prompts = (shorts.rate * shorts.tokens + longs.rate * longs.tokens) * costs.token;
  steps.busy = (prompts + tokens * costs.row) / kMicroseconds;
  if (steps.busy >= 1) return steps;
  // A step holds the rows whose turn came, and the prompt tokens that came, while the one before it ran.
  const double mean = costs.base / (1 - steps.busy);
  steps.plain_us = costs.base + costs.row * std::max(1.0, tokens * mean / kMicroseconds);
  steps.tail_us = steps.plain_us;
  const Kind* by_size[] = {&longs, &shorts};
  if (longs.tokens < shorts.tokens) std::swap(by_size[0], by_size[1]);
  double left =
      kTail;  // a mean over the tail and no quantile: it does not jump where chunks become one in a hundred
  for (const Kind* kind : by_size) {
    if (kind->rate <= 0) continue;
    const double share = std::min(left, kind->rate * kind->chunks(costs) * mean / kMicroseconds);
    steps.tail_us += share / kTail * costs.token * std::min(kind->tokens, costs.chunk_tokens);
    left -= share;
  }
  return steps;
}

double ratio(double of, double to) {
  return to > 0 && of > 0 ? of / to : 1;
}

double advantage_of(const Prediction& split, const Prediction& hybrid) {
  if (!split.bears && !hybrid.bears) return 1;
  if (!hybrid.bears) return kOverwhelming;
  if (!split.bears) return 1 / kOverwhelming;
  const double gain = ratio(hybrid.between_tokens_tail_us, split.between_tokens_tail_us);
  const double cost = std::max(ratio(split.short_first_us, hybrid.short_first_us),
                               ratio(split.long_first_us, hybrid.long_first_us));
  return std::clamp(gain / cost, 1 / kOverwhelming, kOverwhelming);
}

}  // namespace

void TrafficMeter::fade(TimePoint now) {
  if (!began_) began_ = at_ = now;
  const double kept = std::exp(-std::max(0.0, seconds(now - *at_)) / seconds(window_));
  for (double* count : {&short_count_, &long_count_, &short_tokens_, &long_tokens_, &generated_})
    *count *= kept;
  at_ = std::max(*at_, now);
}

void TrafficMeter::placed(double uncached_tokens, bool is_long, TimePoint now) {
  fade(now);
  (is_long ? long_count_ : short_count_) += 1;
  (is_long ? long_tokens_ : short_tokens_) += uncached_tokens;
}

void TrafficMeter::generated(double tokens, TimePoint now) {
  fade(now);
  generated_ += tokens;
}

double TrafficMeter::placements(TimePoint now) {
  fade(now);
  return short_count_ + long_count_;
}

Traffic TrafficMeter::traffic(TimePoint now) {
  fade(now);
  // What a steady second's worth has faded to by now: less before a whole window has passed.
  const double span = seconds(window_) * (1 - std::exp(-seconds(now - *began_) / seconds(window_)));
  Traffic out;
  if (span <= 0) return out;
  out.short_prompts = short_count_ / span;
  out.long_prompts = long_count_ / span;
  if (short_count_ > 0) out.short_tokens = short_tokens_ / short_count_;
  if (long_count_ > 0) out.long_tokens = long_tokens_ / long_count_;
  if (short_count_ + long_count_ > 0) out.answer_tokens = generated_ / (short_count_ + long_count_);
  return out;
}

Prediction predict(const Traffic& traffic, const StepCosts& costs, std::uint32_t workers,
                   std::uint32_t prefill) {
  const double decoders = workers - prefill, prefillers = prefill;
  const Kind shorts{traffic.short_prompts / decoders, traffic.short_tokens};
  const Kind mixed_in{prefill == 0 ? traffic.long_prompts / decoders : 0, traffic.long_tokens};
  const Kind apart{prefill == 0 ? 0 : traffic.long_prompts / prefillers, traffic.long_tokens};
  const double tokens = (traffic.short_prompts + traffic.long_prompts) * traffic.answer_tokens / decoders;

  Prediction out;
  const Steps steps = steps_of(shorts, mixed_in, tokens, costs);
  const double short_us = shorts.service(costs, steps.plain_us);
  const double long_us = mixed_in.service(costs, steps.plain_us);
  const Queue here = queue_of(shorts, short_us, mixed_in, long_us);
  const double apart_us = apart.service(costs, costs.base);
  const Queue there = queue_of(apart, apart_us, {}, 0);
  out.busy = std::max({steps.busy, here.busy, there.busy});
  out.bears = out.busy < 1;
  if (!out.bears) return out;
  out.between_tokens_tail_us = steps.tail_us;
  if (shorts.rate > 0) out.short_first_us = here.wait_us + short_us;
  if (traffic.long_prompts <= 0) return out;
  // Pages cross while the next chunk is computed: the last one's, or what the network is behind, is waited
  // for.
  const double crossing = std::max(costs.transfer * std::min(apart.tokens, costs.chunk_tokens),
                                   costs.transfer * apart.tokens - apart_us);
  out.long_first_us =
      prefill == 0 ? here.wait_us + long_us : there.wait_us + apart_us + crossing + steps.plain_us;
  return out;
}

Comparison compare(const Traffic& traffic, const StepCosts& costs, std::uint32_t workers) {
  Comparison best;
  if (workers == 0) return best;
  best.hybrid = predict(traffic, costs, workers, 0);
  for (std::uint32_t prefill = 1; prefill < workers; ++prefill) {
    const Prediction split = predict(traffic, costs, workers, prefill);
    const double advantage = advantage_of(split, best.hybrid);
    if (best.prefill != 0 && advantage <= best.advantage) continue;
    best.split = split;
    best.prefill = prefill;
    best.advantage = advantage;
  }
  return best;
}

std::string_view to_string(Arrangement arrangement) {
  return arrangement == Arrangement::hybrid  ? "hybrid"
         : arrangement == Arrangement::split ? "split"
                                             : "unknown";
}

void ArrangementJudge::judge(const Comparison& comparison, TimePoint now) {
  const Arrangement better = comparison.prefill == 0                ? Arrangement::unknown
                             : comparison.advantage >= clearly_     ? Arrangement::split
                             : comparison.advantage <= 1 / clearly_ ? Arrangement::hybrid
                                                                    : Arrangement::unknown;
  if (better != leaning_) {
    leaning_ = better;
    since_ = now;
  }
  if (leaning_ != Arrangement::unknown && now - since_ >= dwell_) verdict_ = leaning_;
}

}  // namespace troupe::router
