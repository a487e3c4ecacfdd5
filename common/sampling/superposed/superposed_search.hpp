#pragma once
// Superposed Decoding [Shen et al. 2024, arXiv:2405.18400]: k drafts of a short answer from one row a step.
// The row's input is the mix of the drafts' newest token embeddings, weighted by the drafts' probabilities;
// what it says of the next token is told apart between the drafts by n-grams. Lossy: every draft goes on from
// a history blended with the others'.
//
// Departs from the paper's program where that has no answer to stop at: as in beam search (beam_search.hpp)
// an end counts when it is among the k best options of its step, and the search is over when k drafts have
// ended; of drafts under way nothing is told then. One draft without n-grams is greedy decoding for that
// reason. And what n-grams rule out comes last in place of not at all, so that there are k answers.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/base/error.hpp"
#include "common/sampling/params.hpp"

namespace troupe {

/// What `drafts` of them are best made with, by the paper's published settings.
[[nodiscard]] SuperposedParams superposed_defaults(std::uint32_t drafts);

/// Errors: invalid_argument naming the field.
[[nodiscard]] Expected<void> validate(const SuperposedParams& params);

/// One search. Threads: one owner. The same bits everywhere: own exp and log, sums in the order of drafts.
class SuperposedSearch {
 public:
  /// What n-grams say of `next` behind `before`, from 0 to 1. Asked only where alpha is above 0.
  using Ngrams = std::function<double(std::span<const TokenId> before, TokenId next)>;
  /// `prompt`: what n-grams see before an answer. `stops`: tokens that end a draft, as its last one. `params`
  /// are valid, max_tokens > 0.
  SuperposedSearch(const SuperposedParams& params, std::span<const TokenId> prompt,
                   std::vector<TokenId> stops, std::uint32_t max_tokens, Ngrams ngrams);

  [[nodiscard]] std::uint32_t steps() const { return steps_; }
  [[nodiscard]] bool done() const { return done_; }
  /// How many of a row's best logits decide a step.
  [[nodiscard]] std::uint32_t candidates_wanted() const { return params_.candidates; }

  /// One step: the best logits of the newest row, best first and finite, as many as are wanted or all there
  /// are.
  void advance(std::span<const TokenLogit> best);

  struct Weighted {
    TokenId token = 0;
    float weight = 0.0f;
  };
  /// The next row's input: newest tokens of the drafts under way, each once, with weights that sum to 1.
  /// Empty before the first step and when it is over.
  [[nodiscard]] std::vector<Weighted> mix() const;

  struct Hypothesis {
    std::vector<TokenId> tokens;  ///< the stop token included
    double score = 0.0;           ///< mean of the steps' scores
    bool stopped = false;         ///< by a stop token; else it has max_tokens
  };
  /// The best `count` once it is done, best first; fewer where there were not as many options.
  [[nodiscard]] std::vector<Hypothesis> best(std::uint32_t count) const;

 private:
  struct Draft {
    std::vector<TokenId> text;  ///< end of the prompt, then the answer
    double sum = 0.0;           ///< of the steps' scores
  };
  struct Option {
    double sum = 0.0;
    const Draft* draft = nullptr;
    TokenId token = 0;
  };

  [[nodiscard]] std::vector<double> scores(const Draft& draft, std::span<const TokenLogit> best,
                                           std::span<const double> logprobs) const;
  [[nodiscard]] std::vector<Option> options(std::span<const TokenLogit> best) const;
  [[nodiscard]] bool stops(TokenId token) const;
  void finish(Draft draft, bool stopped);

  SuperposedParams params_;
  std::size_t before_;  ///< tokens of the prompt that drafts begin with
  std::vector<TokenId> stops_;
  std::uint32_t max_tokens_;
  Ngrams ngrams_;
  std::uint32_t steps_ = 0;
  bool done_ = false;
  std::vector<Draft> drafts_;         ///< under way: the prompt alone before the first step
  std::vector<Hypothesis> finished_;  ///< best first
};

}  // namespace troupe
