#pragma once
// Beam search and diverse beam search [Vijayakumar et al. 2016, arXiv:1610.02424]: which hypotheses go on and
// which are finished, given what may follow each. It decides as Hugging Face's generate() does
// (BeamSearchScorer, HammingDiversity; tests/golden/make_beam_golden.py), including what the paper leaves
// open: penalties of diversity stay in a hypothesis' score. Departs from it: beams of a group that has ended
// are computed no more, and their padding is no token that others avoid.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/error.hpp"
#include "common/sampling/params.hpp"

namespace troupe {

/// A token that may follow a beam.
struct BeamCandidate {
  GeneratedToken token;  ///< as it will be reported
  double logprob = 0.0;
};

/// The `count` likeliest tokens of softmax(logits), best first; impossible ones are left out. Tokens come
/// with log-probabilities where `params` asks for them. Threads: any. Cost: two passes over the logits.
[[nodiscard]] std::vector<BeamCandidate> beam_candidates(std::span<const float> logits, std::uint32_t count,
                                                         const SamplingParams& params);

/// Errors: invalid_argument naming the field.
[[nodiscard]] Expected<void> validate(const BeamParams& params);

/// One search. Its beams are numbered as rows: the caller says what may follow each row, and learns which
/// rows come next. Ties go to the earlier row, then to the lower id. Threads: one owner. The same bits
/// everywhere: own exp and log.
class BeamSearch {
 public:
  /// `stops`: tokens that end a hypothesis, as its last token. `params` are valid, max_tokens > 0.
  BeamSearch(const BeamParams& params, std::vector<TokenId> stops, std::uint32_t max_tokens);

  /// Beams that are under way: 1, the prompt, before the first step; none when it is over.
  [[nodiscard]] std::uint32_t rows() const;
  /// How many of each row's likeliest tokens decide a step.
  [[nodiscard]] std::uint32_t candidates_wanted() const;
  [[nodiscard]] std::uint32_t steps() const { return steps_; }
  [[nodiscard]] bool done() const { return done_; }

  /// Row i of the next step is row `from` of this one, and `token`.
  struct Move {
    std::uint32_t from = 0;
    TokenId token = 0;
  };
  /// One step: `candidates` of each row, best first. Nothing comes next when done() afterwards.
  [[nodiscard]] std::vector<Move> advance(std::span<const std::vector<BeamCandidate>> candidates);

  struct Hypothesis {
    std::vector<GeneratedToken> tokens;  ///< the stop token included
    double score = 0.0;
    bool stopped = false;  ///< by a stop token; else it has max_tokens
  };
  /// The best `count` once it is done, best first; fewer where the vocabulary has no more to say.
  [[nodiscard]] std::vector<Hypothesis> best(std::uint32_t count) const;

 private:
  static constexpr std::int32_t kPrompt = -1;

  /// A token of a hypothesis and the one before it; hypotheses share their beginnings.
  struct Node {
    std::int32_t before = kPrompt;
    GeneratedToken token;
  };
  struct Beam {
    std::uint32_t row = 0;
    std::uint32_t group = 0;
    std::int32_t node = kPrompt;
    double sum = 0.0;  ///< of log-probabilities, penalties taken off
  };
  struct Finished {
    double score = 0.0;
    std::int32_t node = kPrompt;
    bool stopped = false;
  };
  struct Group {
    std::vector<Finished> finished;
    double worst = 1e9;
    bool done = false;
  };
  struct Option {
    double sum = 0.0;
    const Beam* beam = nullptr;
    const BeamCandidate* candidate = nullptr;
  };

  [[nodiscard]] std::uint32_t group_size() const { return params_.width / params_.groups; }
  [[nodiscard]] std::uint32_t options_kept() const;
  [[nodiscard]] bool stops(TokenId token) const;
  [[nodiscard]] double score(double sum, std::uint32_t length) const;
  [[nodiscard]] std::vector<Option> options(std::uint32_t group,
                                            std::span<const std::vector<BeamCandidate>> candidates,
                                            std::span<const TokenId> taken) const;
  [[nodiscard]] std::vector<Beam> extend(std::uint32_t group, std::span<const Option> ranked);
  [[nodiscard]] bool is_done(const Group& group, double best_sum) const;
  [[nodiscard]] std::int32_t add_node(const Option& option);
  void finish(Group& group, double sum, std::uint32_t length, std::int32_t node, bool stopped);
  void finish_open();

  BeamParams params_;
  std::vector<TokenId> stops_;
  std::uint32_t max_tokens_;
  std::uint32_t steps_ = 0;
  bool done_ = false;
  std::vector<Group> groups_;
  std::vector<Beam> beams_;
  std::vector<Node> nodes_;
};

}  // namespace troupe
