#include "common/sampling/superposed/superposed_search.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "common/sampling/exact_math.hpp"
#include "common/sampling/superposed/ngram_table.hpp"

namespace troupe {
namespace {

constexpr double kUnsupported = -200.0;  // the paper's: for a draft that n-grams know nothing of
constexpr double kRuledOut = -1e4;       // behind kUnsupported at every step

/// log softmax(logits / temperature) of those given alone.
std::vector<double> log_shares(std::span<const TokenLogit> best, double temperature) {
  const double top = static_cast<double>(best.front().logit);
  std::vector<double> out;
  double sum = 0.0;
  for (const TokenLogit& one : best) {
    out.push_back((static_cast<double>(one.logit) - top) / temperature);
    sum += exact::exp(out.back());
  }
  const double log_sum = exact::log(sum);
  for (double& value : out) value -= log_sum;
  return out;
}

}  // namespace

SuperposedParams superposed_defaults(std::uint32_t drafts) {
  SuperposedParams out;
  out.drafts = drafts;
  out.alpha = drafts == 2 ? 0.62f : drafts == 4 ? 0.52f : 0.54f;
  out.temperature = drafts > 4 ? 0.12f : 0.06f;
  out.candidates = 3 * drafts;
  return out;
}

Expected<void> validate(const SuperposedParams& p) {
  const auto refuse = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
  if (p.drafts == 0 || p.drafts > kMostSuperposed)
    return refuse("drafts is " + std::to_string(p.drafts) + ", must be from 1 to " +
                  std::to_string(kMostSuperposed));
  if (!(p.alpha >= 0.0f && p.alpha <= 1.0f)) return refuse("alpha must be a number from 0 to 1");
  if (!(p.temperature >= 0.01f && p.temperature <= 10.0f))
    return refuse("temperature must be a number from 0.01 to 10");
  if (p.candidates < 2 * p.drafts || p.candidates > kMostSuperposedCandidates)
    return refuse("candidates is " + std::to_string(p.candidates) + ", must be from twice the drafts, " +
                  std::to_string(2 * p.drafts) + ", to " + std::to_string(kMostSuperposedCandidates));
  return {};
}

SuperposedSearch::SuperposedSearch(const SuperposedParams& params, std::span<const TokenId> prompt,
                                   std::vector<TokenId> stops, std::uint32_t max_tokens, Ngrams ngrams)
    : params_(params),
      before_(std::min(prompt.size(), NgramTable::kLongestContext)),
      stops_(std::move(stops)),
      max_tokens_(max_tokens),
      ngrams_(std::move(ngrams)) {
  std::sort(stops_.begin(), stops_.end());
  const auto tail = prompt.last(before_);
  drafts_.push_back({{tail.begin(), tail.end()}, 0.0});
}

bool SuperposedSearch::stops(TokenId token) const {
  return std::binary_search(stops_.begin(), stops_.end(), token);
}

/// Of each candidate behind `draft`. What n-grams rule out in favour of others comes behind all else.
std::vector<double> SuperposedSearch::scores(const Draft& draft, std::span<const TokenLogit> best,
                                             std::span<const double> logprobs) const {
  std::vector<double> out(logprobs.begin(), logprobs.end());
  if (!(params_.alpha > 0.0f)) return out;
  const auto alpha = static_cast<double>(params_.alpha);
  std::vector<double> known;
  for (const TokenLogit& one : best) known.push_back(ngrams_(draft.text, one.token));
  const bool any = std::any_of(known.begin(), known.end(), [](double value) { return value > 0.0; });
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double other = known[i] > 0.0 ? alpha * exact::log(known[i]) : kRuledOut;
    out[i] = (1.0 - alpha) * logprobs[i] + (any ? other : kUnsupported);
  }
  return out;
}

/// The 2 k best, best first. Ties go to the earlier draft, then to the better logit.
std::vector<SuperposedSearch::Option> SuperposedSearch::options(std::span<const TokenLogit> best) const {
  const std::vector<double> logprobs = log_shares(best, static_cast<double>(params_.temperature));
  std::vector<Option> all;
  for (const Draft& draft : drafts_) {
    const std::vector<double> added = scores(draft, best, logprobs);
    for (std::size_t i = 0; i < best.size(); ++i)
      all.push_back({draft.sum + added[i], &draft, best[i].token});
  }
  std::stable_sort(all.begin(), all.end(), [](const Option& a, const Option& b) { return a.sum > b.sum; });
  all.resize(std::min<std::size_t>(all.size(), 2 * std::size_t{params_.drafts}));
  return all;
}

void SuperposedSearch::advance(std::span<const TokenLogit> best) {
  TROUPE_CHECK(!done_ && !best.empty(), "a step of a search that goes on has candidates");
  best = best.first(std::min<std::size_t>(best.size(), params_.candidates));
  std::vector<Draft> next;
  const std::vector<Option> ranked = options(best);
  ++steps_;
  for (std::size_t rank = 0; rank < ranked.size() && next.size() < params_.drafts; ++rank) {
    Draft draft{ranked[rank].draft->text, ranked[rank].sum};
    draft.text.push_back(ranked[rank].token);
    if (!stops(ranked[rank].token))
      next.push_back(std::move(draft));
    else if (rank < params_.drafts)
      finish(std::move(draft), true);
  }
  drafts_ = std::move(next);
  const bool ended = finished_.size() >= params_.drafts;
  if (!ended && steps_ == max_tokens_)
    for (Draft& draft : drafts_) finish(std::move(draft), false);
  done_ = ended || steps_ == max_tokens_ || drafts_.empty();
  if (done_) drafts_.clear();
}

/// Keeps the k best by mean score, which orders as the paper's perplexity does; the earlier one of equals.
void SuperposedSearch::finish(Draft draft, bool stopped) {
  Hypothesis one;
  one.tokens.assign(draft.text.begin() + static_cast<std::ptrdiff_t>(before_), draft.text.end());
  one.score = draft.sum / static_cast<double>(steps_);
  one.stopped = stopped;
  const auto at = std::find_if(finished_.begin(), finished_.end(),
                               [&](const Hypothesis& other) { return other.score < one.score; });
  finished_.insert(at, std::move(one));
  if (finished_.size() > params_.drafts) finished_.pop_back();
}

std::vector<SuperposedSearch::Weighted> SuperposedSearch::mix() const {
  if (steps_ == 0 || drafts_.empty()) return {};
  double sum = 0.0;
  for (const Draft& draft : drafts_)
    sum += exact::exp(draft.sum - drafts_.front().sum);  // the best one is first
  std::vector<Weighted> out;
  for (const Draft& draft : drafts_) {
    const auto weight = static_cast<float>(exact::exp(draft.sum - drafts_.front().sum) / sum);
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const Weighted& one) { return one.token == draft.text.back(); });
    if (same == out.end())
      out.push_back({draft.text.back(), weight});
    else
      same->weight += weight;
  }
  return out;
}

std::vector<SuperposedSearch::Hypothesis> SuperposedSearch::best(std::uint32_t count) const {
  TROUPE_CHECK(done_, "a search is asked for its answers when it is over");
  const auto end =
      finished_.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(count, finished_.size()));
  return {finished_.begin(), end};
}

}  // namespace troupe
