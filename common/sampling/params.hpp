#pragma once
// What a client may ask of the sampler.
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe {

/// DRY: a token that would go on with what followed the same run of tokens before loses multiplier * base^(run - allowed_length).
/// No run holds a breaker.
struct DryParams {
  float multiplier = 0.0f;           ///< 0: off
  float base = 1.75f;
  std::uint32_t allowed_length = 2;  ///< runs as long as this one, and longer, are penalised
  std::int32_t last_n = -1;          ///< tokens of prompt and answer that are looked at; -1: all, 0: none
  std::vector<TokenId> breakers;     ///< tokens that break runs; ascending
  std::vector<std::vector<TokenId>> breaker_runs;  ///< those that do so together; ascending, none is empty
  bool operator==(const DryParams&) const = default;
};

struct SamplingParams {
  float temperature = 1.0f;        ///< 0: arg-max, ties to the lower id
  std::uint32_t top_k = 0;         ///< 0: off
  float top_p = 1.0f;              ///< 1: off
  float min_p = 0.0f;              ///< 0: off
  float typical_p = 1.0f;          ///< 1: off
  float repetition_penalty = 1.0f; ///< over prompt and answer; 1: off
  float frequency_penalty = 0.0f;  ///< over the answer
  float presence_penalty = 0.0f;   ///< over the answer
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;          ///< always set: the gateway draws one when the client gives none
  std::uint32_t logprobs = 0;      ///< alternatives to report per token
  bool report_logprobs = false;    ///< report the chosen token's log-probability
  std::int32_t repeat_last_n = -1; ///< tokens of prompt and answer that penalties look at; -1: all, 0: none
  float top_n_sigma = 0.0f;        ///< 0: off
  float xtc_probability = 0.0f;    ///< 0: off
  float xtc_threshold = 0.1f;      ///< above 0.5 never does anything
  float dynatemp_range = 0.0f;     ///< 0: off; else the temperature is within as much of `temperature`, by entropy
  float dynatemp_exponent = 1.0f;
  DryParams dry;
  bool operator==(const SamplingParams&) const = default;
};

/// What may be drawn, beside filters and a grammar.
struct TokenRules {
  std::uint32_t min_tokens = 0;                ///< of an answer, before a stop token may end it
  std::vector<TokenId> allowed;                ///< empty: all
  std::vector<std::vector<TokenId>> bad_words; ///< no answer holds one of these runs of tokens
  [[nodiscard]] bool any() const { return min_tokens > 0 || !allowed.empty() || !bad_words.empty(); }
  bool operator==(const TokenRules&) const = default;
};

struct TokenLogit {
  TokenId token = 0;
  float logit = 0.0f;
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0.0f;
  bool operator==(const TokenLogprob&) const = default;
};

/// One generated token. Log-probabilities are of the unmodified softmax (temperature 1, before penalties), as OpenAI reports them.
struct GeneratedToken {
  TokenId token = 0;
  float logprob = 0.0f;               ///< 0 unless asked for
  std::vector<TokenLogprob> top;      ///< best first
  bool operator==(const GeneratedToken&) const = default;
};

/// When a beam search ends, once it has as many finished hypotheses as beams; the values of Hugging Face's `early_stopping`.
enum class EarlyStopping : std::uint8_t {
  off,    ///< false: when the best one under way, at the length it has now, is no better than the worst finished one
  on,     ///< true: at once
  never,  ///< "never": when none under way can become better than the worst finished one
};

/// A beam search, with the names and meanings of Hugging Face's generate().
struct BeamParams {
  std::uint32_t width = 0;         ///< beams; 0: no beam search
  std::uint32_t groups = 1;        ///< > 1: diverse beam search; divides width
  float diversity_penalty = 0.0f;  ///< taken off a token's log-probability for each beam of an earlier group that took it
  float length_penalty = 1.0f;     ///< a hypothesis' score is its log-probability / length^this
  EarlyStopping early_stopping = EarlyStopping::off;
  bool operator==(const BeamParams&) const = default;
};
inline constexpr std::uint32_t kMostBeams = 64;

/// Superposed Decoding: several short answers for one row a step (common/sampling/superposed).
struct SuperposedParams {
  std::uint32_t drafts = 0;      ///< answers made at once; 0: plain decoding
  float alpha = 0.0f;            ///< weight of n-grams against the model, 0 to 1; 0: the model alone
  float temperature = 0.06f;     ///< divides logits: calibrates the model against n-grams, draws nothing
  std::uint32_t candidates = 0;  ///< likeliest tokens of a step that are looked at
  bool operator==(const SuperposedParams&) const = default;
};
inline constexpr std::uint32_t kMostSuperposed = 16;        ///< drafts
inline constexpr std::uint32_t kMostSuperposedTokens = 20;  ///< of an answer: histories of drafts blend more with each
inline constexpr std::uint32_t kMostSuperposedCandidates = 128;

enum class FinishReason : std::uint8_t { none, stop, length, cancelled, error };

}  // namespace troupe
