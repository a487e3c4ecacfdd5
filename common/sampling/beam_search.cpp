#include "common/sampling/beam_search.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/sampling/candidates.hpp"
#include "common/sampling/exact_math.hpp"

namespace troupe {

std::vector<BeamCandidate> beam_candidates(std::span<const float> logits, std::uint32_t count,
                                           const SamplingParams& params) {
  const auto top = static_cast<double>(logits[best_index(logits)]);
  const double log_total = top + exact::log(exp_sum(logits, 1.0, top, nullptr));
  const auto logprob = [&](const Candidate& c) {
    return std::min(static_cast<double>(c.logit) - log_total, 0.0);
  };
  const std::vector<Candidate> best = best_candidates(logits, std::max(count, params.logprobs));
  std::vector<TokenLogprob> alternatives;
  for (const Candidate& c : std::span(best).first(std::min<std::size_t>(best.size(), params.logprobs)))
    alternatives.push_back({c.id, static_cast<float>(logprob(c))});
  const bool reported = params.report_logprobs || params.logprobs > 0;
  std::vector<BeamCandidate> out;
  for (const Candidate& c : std::span(best).first(std::min<std::size_t>(best.size(), count))) {
    const double value = logprob(c);
    if (!std::isfinite(value)) break;
    out.push_back({{c.id, reported ? static_cast<float>(value) : 0.0f, alternatives}, value});
  }
  return out;
}

Expected<void> validate(const BeamParams& p) {
  const auto refuse = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
  if (p.width == 0 || p.width > kMostBeams)
    return refuse("width is " + std::to_string(p.width) + ", must be from 1 to " +
                  std::to_string(kMostBeams));
  if (p.groups == 0 || p.width % p.groups != 0)
    return refuse("groups is " + std::to_string(p.groups) + ", must divide width, which is " +
                  std::to_string(p.width));
  if (!std::isfinite(p.diversity_penalty) || p.diversity_penalty < 0.0f)
    return refuse("diversity_penalty must be a number that is not below 0");
  if ((p.diversity_penalty > 0.0f) != (p.groups > 1))
    return refuse("diversity_penalty and more than one of groups need each other: else groups are alike");
  if (!std::isfinite(p.length_penalty) || std::abs(p.length_penalty) > 10.0f)
    return refuse("length_penalty must be a number from -10 to 10");
  return {};
}

BeamSearch::BeamSearch(const BeamParams& params, std::vector<TokenId> stops, std::uint32_t max_tokens)
    : params_(params), stops_(std::move(stops)), max_tokens_(max_tokens), groups_(params.groups) {
  std::sort(stops_.begin(), stops_.end());
  stops_.erase(std::unique(stops_.begin(), stops_.end()), stops_.end());
  for (std::uint32_t group = 0; group < params_.groups; ++group) beams_.push_back({0, group, kPrompt, 0.0});
}

std::uint32_t BeamSearch::rows() const {
  if (done_) return 0;
  return steps_ == 0 ? 1 : static_cast<std::uint32_t>(beams_.size());
}

/// So many that a group's beams are filled even if every other option ends.
std::uint32_t BeamSearch::options_kept() const {
  return std::max<std::uint32_t>(2, 1 + static_cast<std::uint32_t>(stops_.size())) * group_size();
}

/// A group avoids the tokens of earlier ones, at most one for each of their beams: as many more decide its
/// order.
std::uint32_t BeamSearch::candidates_wanted() const {
  return options_kept() + params_.width - group_size();
}

bool BeamSearch::stops(TokenId token) const {
  return std::binary_search(stops_.begin(), stops_.end(), token);
}

double BeamSearch::score(double sum, std::uint32_t length) const {
  const auto penalty = static_cast<double>(params_.length_penalty);
  return sum / exact::exp(penalty * exact::log(static_cast<double>(length)));
}

std::vector<BeamSearch::Move> BeamSearch::advance(std::span<const std::vector<BeamCandidate>> candidates) {
  TROUPE_CHECK(!done_ && candidates.size() == rows(), "a step needs what may follow each beam");
  std::vector<Beam> next;
  std::vector<TokenId> taken;  // by earlier groups
  for (std::uint32_t group = 0; group < params_.groups; ++group) {
    if (groups_[group].done) continue;
    const std::vector<Option> kept = options(group, candidates, taken);
    const std::vector<Beam> beams = extend(group, kept);
    for (const Beam& beam : beams) taken.push_back(nodes_[static_cast<std::size_t>(beam.node)].token.token);
    groups_[group].done = beams.empty() || is_done(groups_[group], kept.front().sum);
    if (!groups_[group].done) next.insert(next.end(), beams.begin(), beams.end());
  }
  ++steps_;
  beams_ = std::move(next);
  if (steps_ == max_tokens_) finish_open();
  done_ = beams_.empty();
  std::vector<Move> moves;
  for (std::uint32_t row = 0; row < beams_.size(); ++row) {
    moves.push_back({beams_[row].row, nodes_[static_cast<std::size_t>(beams_[row].node)].token.token});
    beams_[row].row = row;
  }
  return moves;
}

std::vector<BeamSearch::Option> BeamSearch::options(std::uint32_t group,
                                                    std::span<const std::vector<BeamCandidate>> candidates,
                                                    std::span<const TokenId> taken) const {
  std::vector<Option> all;
  for (const Beam& beam : beams_) {
    if (beam.group != group) continue;
    for (const BeamCandidate& candidate : candidates[beam.row]) {
      const auto others = static_cast<double>(std::count(taken.begin(), taken.end(), candidate.token.token));
      const double penalty = static_cast<double>(params_.diversity_penalty) * others;
      all.push_back({beam.sum + (candidate.logprob - penalty), &beam, &candidate});
    }
  }
  const auto better = [](const Option& a, const Option& b) {
    if (a.sum != b.sum) return a.sum > b.sum;
    if (a.beam != b.beam) return a.beam < b.beam;
    return a.candidate->token.token < b.candidate->token.token;
  };
  const std::size_t kept = std::min<std::size_t>(all.size(), options_kept());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(), better);
  all.resize(kept);
  return all;
}

/// Fills the group's beams from the best options; one that ends is finished, unless as many as there are
/// beams were better.
std::vector<BeamSearch::Beam> BeamSearch::extend(std::uint32_t group, std::span<const Option> ranked) {
  std::vector<Beam> next;
  for (std::size_t rank = 0; rank < ranked.size() && next.size() < group_size(); ++rank) {
    const Option& option = ranked[rank];
    if (!stops(option.candidate->token.token))
      next.push_back({option.beam->row, group, add_node(option), option.sum});
    else if (rank < group_size())
      finish(groups_[group], option.sum, steps_ + 1, add_node(option), true);
  }
  return next;
}

std::int32_t BeamSearch::add_node(const Option& option) {
  nodes_.push_back({option.beam->node, option.candidate->token});
  return static_cast<std::int32_t>(nodes_.size()) - 1;
}

/// A group keeps as many as it has beams, the best.
void BeamSearch::finish(Group& group, double sum, std::uint32_t length, std::int32_t node, bool stopped) {
  const Finished hypothesis{score(sum, length), node, stopped};
  if (group.finished.size() >= group_size() && hypothesis.score <= group.worst) return;
  group.finished.push_back(hypothesis);
  const auto worse = [](const Finished& a, const Finished& b) { return a.score < b.score; };
  if (group.finished.size() > group_size())
    group.finished.erase(std::min_element(group.finished.begin(), group.finished.end(), worse));
  group.worst = std::min_element(group.finished.begin(), group.finished.end(), worse)->score;
}

bool BeamSearch::is_done(const Group& group, double best_sum) const {
  if (group.finished.size() < group_size()) return false;
  if (params_.early_stopping == EarlyStopping::on) return true;
  // Longer is better where the penalty rewards length: what is under way may then still grow.
  const bool grows = params_.early_stopping == EarlyStopping::never && params_.length_penalty > 0.0f;
  return group.worst >= score(best_sum, grows ? max_tokens_ : steps_ + 1);
}

/// No token is left: what is under way ends here.
void BeamSearch::finish_open() {
  for (const Beam& beam : beams_) finish(groups_[beam.group], beam.sum, steps_, beam.node, false);
  beams_.clear();
}

std::vector<BeamSearch::Hypothesis> BeamSearch::best(std::uint32_t count) const {
  std::vector<Finished> all;
  for (const Group& group : groups_) all.insert(all.end(), group.finished.begin(), group.finished.end());
  // Of equal ones the later: Hugging Face pops them from the end.
  std::reverse(all.begin(), all.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const Finished& a, const Finished& b) { return a.score > b.score; });
  std::vector<Hypothesis> out;
  for (const Finished& finished : std::span(all).first(std::min<std::size_t>(all.size(), count))) {
    Hypothesis& hypothesis = out.emplace_back();
    hypothesis.score = finished.score;
    hypothesis.stopped = finished.stopped;
    for (std::int32_t node = finished.node; node != kPrompt;
         node = nodes_[static_cast<std::size_t>(node)].before)
      hypothesis.tokens.push_back(nodes_[static_cast<std::size_t>(node)].token);
    std::reverse(hypothesis.tokens.begin(), hypothesis.tokens.end());
  }
  return out;
}

}  // namespace troupe
