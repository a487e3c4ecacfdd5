#pragma once
// What a client may ask of the sampler.
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe {

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
  bool operator==(const SamplingParams&) const = default;
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

enum class FinishReason : std::uint8_t { none, stop, length, cancelled, error };

}  // namespace troupe
