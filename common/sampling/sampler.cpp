#include "common/sampling/sampler.hpp"

#include <algorithm>
#include <limits>

#include "common/base/error.hpp"
#include "common/sampling/candidates.hpp"
#include "common/sampling/dry.hpp"
#include "common/sampling/exact_math.hpp"
#include "common/sampling/gumbel.hpp"

namespace troupe {
namespace {

bool has_penalty(const SamplingParams& p) {
  return p.repetition_penalty != 1.0f || p.frequency_penalty != 0.0f || p.presence_penalty != 0.0f;
}

bool has_filter(const SamplingParams& p) {
  return p.top_k > 0 || p.top_p < 1.0f || p.min_p > 0.0f || p.typical_p < 1.0f || p.top_n_sigma > 0.0f ||
         p.xtc_probability > 0.0f || p.dynatemp_range > 0.0f;
}

void penalise(std::span<float> logits, const SamplingParams& params, const TokenHistory& history) {
  for (const TokenId token : history.distinct()) {
    if (!history.seen(token)) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    const std::uint32_t count = history.answer_count(token);
    if (count == 0) continue;
    logit -= static_cast<float>(count) * params.frequency_penalty;
    logit -= params.presence_penalty;
  }
}

// What is not allowed becomes impossible: a draw, whichever way it goes, never takes it while something else is finite.
void forbid(std::span<float> logits, std::span<const std::uint64_t> allowed) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (std::size_t at = 0; at < logits.size(); at += 64) {
    const std::uint64_t word = at / 64 < allowed.size() ? allowed[at / 64] : 0;
    if (word == ~std::uint64_t{0}) continue;
    const std::size_t end = std::min(logits.size(), at + 64);
    for (std::size_t i = at; i < end; ++i)
      if ((word >> (i - at) & 1) == 0) logits[i] = kNever;
  }
}

// Logits after bias, penalties and what is allowed: the given ones when there are none, else a copy in this thread's scratch.
std::span<const float> adjust(std::span<const float> logits, const SamplingParams& params, const TokenHistory* history,
                              std::span<const std::uint64_t> allowed) {
  const bool penalties = history != nullptr && needs_history(params);
  if (params.logit_bias.empty() && !penalties && allowed.empty()) return logits;
  thread_local std::vector<float> scratch;
  scratch.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : params.logit_bias) scratch[static_cast<std::size_t>(token)] += bias;
  if (penalties && has_penalty(params)) penalise(scratch, params, *history);
  if (penalties)
    for (const auto& [token, penalty] : dry_penalties(history->tokens(), params.dry))
      scratch[static_cast<std::size_t>(token)] -= penalty;
  if (!allowed.empty()) forbid(scratch, allowed);
  return scratch;
}

float clamp_log(double value) { return static_cast<float>(std::min(value, 0.0)); }

/// What comes behind the filters: XTC, on the toss of a coin of this position, and the temperature of the draw, which it returns.
/// 0: the first of what is left is taken.
double settle(std::vector<Candidate>& kept, const SamplingParams& params, const DrawKey& key) {
  if (params.xtc_probability > 0.0f) {
    DrawKey coin = key;
    coin.purpose = DrawPurpose::xtc;
    if (uniform_of(draw_word(coin, 0)) <= static_cast<double>(params.xtc_probability))
      exclude_top(kept, static_cast<double>(params.xtc_threshold));
  }
  if (!(params.dynatemp_range > 0.0f)) return static_cast<double>(params.temperature);
  return apply_dynamic_temperature(kept, params);
}

TokenId choose(std::span<const float> logits, const SamplingParams& params, const DrawKey& key) {
  if (!(params.temperature > 0.0f)) return static_cast<TokenId>(best_index(logits));
  if (!has_filter(params)) return draw_of_all(logits, static_cast<double>(params.temperature), key);
  std::vector<Candidate> kept = filter_candidates(logits, params);
  const double temperature = settle(kept, params, key);
  if (!(temperature > 0.0)) return kept.front().id;
  if (kept.size() < logits.size() / 16) return draw_of(kept, key);
  // Many are left: the same draw over all tokens, those not kept being impossible, makes noise 64 at a time.
  thread_local std::vector<float> scratch;
  scratch.assign(logits.size(), -std::numeric_limits<float>::infinity());
  for (const Candidate& c : kept) scratch[static_cast<std::size_t>(c.id)] = c.logit;
  return draw_of_all(scratch, temperature, key);
}

}  // namespace

void TokenHistory::add(TokenId token, bool answer) {
  tokens_.push_back(token);
  of_answer_.push_back(answer);
  if (!seen(token)) distinct_.push_back(token);
  ++(answer ? in_answer_ : in_prompt_)[static_cast<std::size_t>(token)];
  if (last_n_ >= 0 && tokens_.size() - first_ > static_cast<std::size_t>(last_n_)) leave_behind();
}

void TokenHistory::leave_behind() {
  const TokenId token = tokens_[first_];
  --(of_answer_[first_] ? in_answer_ : in_prompt_)[static_cast<std::size_t>(token)];
  if (!seen(token)) std::erase(distinct_, token);
  ++first_;
}

void TokenHistory::add_prompt(TokenId token) { add(token, false); }

void TokenHistory::add_answer(TokenId token) { add(token, true); }

void TokenHistory::remove_answer(TokenId token) {
  TROUPE_CHECK(answer_count(token) > 0, "a token is removed that was not added");
  std::size_t at = tokens_.size() - 1;
  while (tokens_[at] != token || !of_answer_[at]) --at;
  tokens_.erase(tokens_.begin() + static_cast<std::ptrdiff_t>(at));
  of_answer_.erase(of_answer_.begin() + static_cast<std::ptrdiff_t>(at));
  --in_answer_[static_cast<std::size_t>(token)];
  if (!seen(token)) std::erase(distinct_, token);
}

bool needs_history(const SamplingParams& params) {
  return has_penalty(params) || (params.dry.multiplier > 0.0f && params.dry.last_n != 0);
}

GeneratedToken report(std::span<const float> logits, TokenId token, std::uint32_t alternatives) {
  const double top = static_cast<double>(logits[best_index(logits)]);
  const double log_total = top + exact::log(exp_sum(logits, 1.0, top, nullptr));
  GeneratedToken out;
  out.token = token;
  out.logprob = clamp_log(static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_total);
  for (const Candidate& c : best_candidates(logits, alternatives)) {
    out.top.push_back({c.id, clamp_log(static_cast<double>(c.logit) - log_total)});
  }
  return out;
}

std::uint32_t best_needed(const SamplingParams& params, std::uint32_t vocab, std::uint32_t most) {
  if (!params.logit_bias.empty() || needs_history(params) || params.report_logprobs || params.logprobs > 0) return 0;
  if (!(params.temperature > 0.0f)) return 1;
  // Without top-k the draw, or what the other filters renormalise over, is the whole vocabulary; so is what sigma is taken of.
  if (params.top_n_sigma > 0.0f) return 0;
  return params.top_k > 0 && params.top_k < vocab && params.top_k <= most ? params.top_k : 0;
}

GeneratedToken sample_best(std::span<const TokenLogit> best, const SamplingParams& params, std::uint32_t choice,
                           std::uint64_t position) {
  GeneratedToken out;
  if (best.empty()) return out;
  if (!(params.temperature > 0.0f)) {
    out.token = best.front().token;
    return out;
  }
  const DrawKey key{.seed = params.seed, .position = position, .choice = choice, .purpose = DrawPurpose::sample};
  std::vector<Candidate> kept = filter_best(best, params);
  out.token = settle(kept, params, key) > 0.0 ? draw_of(kept, key) : kept.front().id;
  return out;
}

GeneratedToken sample(std::span<const float> logits, const SamplingParams& params, const TokenHistory* history,
                      std::uint32_t choice, std::uint64_t position, std::span<const std::uint64_t> allowed) {
  const DrawKey key{.seed = params.seed, .position = position, .choice = choice, .purpose = DrawPurpose::sample};
  const TokenId token = choose(adjust(logits, params, history, allowed), params, key);
  if (params.report_logprobs || params.logprobs > 0) return report(logits, token, params.logprobs);
  GeneratedToken out;
  out.token = token;
  return out;
}

}  // namespace troupe
