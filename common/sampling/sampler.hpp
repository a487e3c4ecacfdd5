#pragma once
// Draws the next token. Gumbel-max over counter-based random numbers: the noise of a token depends only on
// (seed, choice, absolute position, purpose, token id), so choices differ, resumed streams continue identically and a
// drafter may couple to the same draw. Own exp/log: the same bits on every machine.
#include <cstdint>
#include <span>
#include <vector>

#include "common/sampling/params.hpp"

namespace troupe {

enum class DrawPurpose : std::uint32_t { sample = 0, draft = 1, accept = 2 };

/// A uniform number in (0, 1), 32 random bits: Philox4x32-10 [Salmon et al. 2011] keyed by seed, counted by the rest.
[[nodiscard]] double uniform_draw(std::uint64_t seed, std::uint32_t choice, std::uint64_t position, DrawPurpose purpose,
                                  TokenId token);

/// What penalties look at: token counts, kept by the caller as the sequence grows.
class TokenHistory {
 public:
  explicit TokenHistory(std::uint32_t vocab) : in_prompt_(vocab, 0), in_answer_(vocab, 0) {}
  void add_prompt(TokenId token);
  void add_answer(TokenId token);
  void remove_answer(TokenId token);  ///< after a truncation
  [[nodiscard]] std::uint32_t answer_count(TokenId token) const { return in_answer_[static_cast<std::size_t>(token)]; }
  /// Every seen token once, in the order of first sight.
  [[nodiscard]] std::span<const TokenId> distinct() const { return distinct_; }
  [[nodiscard]] bool seen(TokenId token) const {
    return in_prompt_[static_cast<std::size_t>(token)] != 0 || in_answer_[static_cast<std::size_t>(token)] != 0;
  }

 private:
  void note(TokenId token);

  std::vector<std::uint8_t> in_prompt_;
  std::vector<std::uint32_t> in_answer_;
  std::vector<TokenId> distinct_;
};

/// Whether `params` makes use of a TokenHistory (so that others need not keep one).
[[nodiscard]] bool needs_history(const SamplingParams& params);

/// Draws one token for absolute position `position` of choice `choice`. `logits` [V] are not changed. `history` may be null
/// unless needs_history. Reports log-probabilities when asked. Threads: any; scratch is reused per thread.
/// Order: logit bias, penalties, what is allowed, temperature, top-k, typical, top-p, min-p, then the draw over what is left.
/// `allowed`: bit t % 64 of word t / 64 for token t, tokens beyond its end are not; empty: all are. One must be.
[[nodiscard]] GeneratedToken sample(std::span<const float> logits, const SamplingParams& params, const TokenHistory* history,
                                    std::uint32_t choice, std::uint64_t position, std::span<const std::uint64_t> allowed = {});

/// How many of the best logits decide what sample() draws with `params`, at most `most`; 0: more, or all of them.
[[nodiscard]] std::uint32_t best_needed(const SamplingParams& params, std::uint32_t vocab, std::uint32_t most);

/// The token that sample() draws, from no more than the best_needed() logits: best first, without NaN, fewer only where the
/// others are NaN. Threads: any.
[[nodiscard]] GeneratedToken sample_best(std::span<const TokenLogit> best, const SamplingParams& params, std::uint32_t choice,
                                         std::uint64_t position);

/// The log-probability report of a given token (echoed prompts).
[[nodiscard]] GeneratedToken report(std::span<const float> logits, TokenId token, std::uint32_t alternatives);

/// Errors: invalid_argument naming the field, its value and bounds.
[[nodiscard]] Expected<void> validate(const SamplingParams& params, std::uint32_t vocab);

}  // namespace troupe
