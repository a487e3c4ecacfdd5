#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "common/base/error.hpp"
#include "common/sampling/sampler.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t kMostAlternatives = 20;
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kMostBreakers = 1u << 15, kMostBreakerRuns = 4096;

struct Bound {
  const char* field;
  float value;
  float low;
  float high;
  bool open_low;  // `low` itself is refused
};

std::string number(float value) {
  std::string text = std::to_string(value);
  if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

Expected<void> check(const Bound& b) {
  const bool inside = std::isfinite(b.value) && b.value <= b.high && (b.open_low ? b.value > b.low : b.value >= b.low);
  if (inside) return {};
  return fail(Errc::invalid_argument, std::string(b.field) + " is " + number(b.value) + ", must be " +
                                          (b.open_low ? "above " : "at least ") + number(b.low) + " and at most " +
                                          number(b.high));
}

Expected<void> check_dry(const DryParams& dry) {
  if (dry.last_n < -1)
    return fail(Errc::invalid_argument, "dry_penalty_last_n is " + std::to_string(dry.last_n) + ", must be at least -1");
  if (dry.breakers.size() > kMostBreakers || dry.breaker_runs.size() > kMostBreakerRuns)
    return fail(Errc::invalid_argument, "dry_sequence_breakers are " + std::to_string(dry.breakers.size()) + " tokens and " +
                                            std::to_string(dry.breaker_runs.size()) + " runs of tokens, may be at most " +
                                            std::to_string(kMostBreakers) + " and " + std::to_string(kMostBreakerRuns));
  const auto empty = [](const std::vector<TokenId>& run) { return run.empty(); };
  if (!std::is_sorted(dry.breakers.begin(), dry.breakers.end()) ||
      !std::is_sorted(dry.breaker_runs.begin(), dry.breaker_runs.end()) ||
      std::any_of(dry.breaker_runs.begin(), dry.breaker_runs.end(), empty))
    return fail(Errc::invalid_argument, "dry_sequence_breakers are not in order, or one of them has no tokens");
  return {};
}

}  // namespace

Expected<void> validate(const SamplingParams& p, std::uint32_t vocab) {
  const Bound bounds[] = {
      {"temperature", p.temperature, 0.0f, 100.0f, false},
      {"top_p", p.top_p, 0.0f, 1.0f, true},
      {"min_p", p.min_p, 0.0f, 1.0f, false},
      {"typical_p", p.typical_p, 0.0f, 1.0f, true},
      {"repetition_penalty", p.repetition_penalty, 0.0f, 100.0f, true},
      {"frequency_penalty", p.frequency_penalty, -2.0f, 2.0f, false},
      {"presence_penalty", p.presence_penalty, -2.0f, 2.0f, false},
      {"top_n_sigma", p.top_n_sigma, 0.0f, 100.0f, false},
      {"xtc_probability", p.xtc_probability, 0.0f, 1.0f, false},
      {"xtc_threshold", p.xtc_threshold, 0.0f, 1.0f, false},
      {"dynatemp_range", p.dynatemp_range, 0.0f, 100.0f, false},
      {"dynatemp_exponent", p.dynatemp_exponent, 0.0f, 100.0f, false},
      {"dry_multiplier", p.dry.multiplier, 0.0f, 100.0f, false},
      {"dry_base", p.dry.base, 1.0f, 100.0f, false},
  };
  for (const Bound& bound : bounds) TROUPE_TRY(check(bound));
  if (p.logprobs > kMostAlternatives) {
    return fail(Errc::invalid_argument, "logprobs is " + std::to_string(p.logprobs) + ", must be at most 20");
  }
  if (p.logit_bias.size() > kMostBiases) {
    return fail(Errc::invalid_argument,
                "logit_bias has " + std::to_string(p.logit_bias.size()) + " entries, may have at most 1024");
  }
  for (const auto& [token, bias] : p.logit_bias) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocab) {
      return fail(Errc::invalid_argument, "logit_bias names token " + std::to_string(token) + ", the vocabulary has " +
                                              std::to_string(vocab));
    }
    TROUPE_TRY(check({"logit_bias", bias, -100.0f, 100.0f, false}));
  }
  if (p.repeat_last_n < -1)
    return fail(Errc::invalid_argument, "repeat_last_n is " + std::to_string(p.repeat_last_n) + ", must be at least -1");
  return check_dry(p.dry);
}

}  // namespace troupe
