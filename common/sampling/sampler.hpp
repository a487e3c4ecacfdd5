#pragma once
// Draws the next token. Gumbel-max over counter-based random numbers: the noise of a token depends only on
// (seed, choice, absolute position, purpose, token id), so choices differ, resumed streams continue identically and a
// drafter may couple to the same draw. Own exp/log: the same bits on every machine.
#include <cstdint>
#include <span>
#include <vector>

#include "common/sampling/params.hpp"

namespace troupe {

enum class DrawPurpose : std::uint32_t { sample = 0, draft = 1, accept = 2, xtc = 3 };

/// A uniform number in (0, 1), 32 random bits: Philox4x32-10 [Salmon et al. 2011] keyed by seed, counted by the rest.
[[nodiscard]] double uniform_draw(std::uint64_t seed, std::uint32_t choice, std::uint64_t position, DrawPurpose purpose,
                                  TokenId token);

/// What penalties look at: the tokens so far and their counts, kept by the caller as the sequence grows.
class TokenHistory {
 public:
  /// `last_n`: how many tokens are counted, as SamplingParams::repeat_last_n.
  explicit TokenHistory(std::uint32_t vocab, std::int32_t last_n = -1)
      : in_prompt_(vocab, 0), in_answer_(vocab, 0), last_n_(last_n) {}
  void add_prompt(TokenId token);
  void add_answer(TokenId token);
  void remove_answer(TokenId token);  ///< after a truncation; the last one of these, while no older one was left behind
  /// All of them, the oldest first, also those that are no longer counted.
  [[nodiscard]] std::span<const TokenId> tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t answer_count(TokenId token) const { return in_answer_[static_cast<std::size_t>(token)]; }
  /// Every seen token once, in the order of first sight.
  [[nodiscard]] std::span<const TokenId> distinct() const { return distinct_; }
  [[nodiscard]] bool seen(TokenId token) const {
    return in_prompt_[static_cast<std::size_t>(token)] != 0 || in_answer_[static_cast<std::size_t>(token)] != 0;
  }

 private:
  void add(TokenId token, bool answer);
  void leave_behind();

  std::vector<std::uint32_t> in_prompt_;
  std::vector<std::uint32_t> in_answer_;
  std::vector<TokenId> distinct_;
  std::vector<TokenId> tokens_;
  std::vector<bool> of_answer_;  ///< of each of tokens_
  std::size_t first_ = 0;        ///< of tokens_ that is counted
  std::int32_t last_n_;
};

/// Whether `params` makes use of a TokenHistory (so that others need not keep one).
[[nodiscard]] bool needs_history(const SamplingParams& params);

/// Draws one token for absolute position `position` of choice `choice`. `logits` [V] are not changed. `history` may be null
/// unless needs_history. Reports log-probabilities when asked. Threads: any; scratch is reused per thread.
/// Order: logit bias, penalties, DRY, what is allowed, top-n-sigma, temperature, top-k, typical, top-p, min-p, XTC, then the draw over
/// what is left. With a dynatemp_range filters see temperature 1, and the temperature comes last.
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
