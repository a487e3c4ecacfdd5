#include "common/sampling/beam_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>

namespace troupe {
namespace {

constexpr std::uint32_t kVocab = 32;

/// The made-up model of tests/golden/make_beam_golden.py.
struct MadeUp {
  std::uint64_t seed = 0;
  std::vector<TokenId> ends;
  float bias = 0;

  static std::uint64_t splitmix(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
  }
  [[nodiscard]] std::vector<float> logits(const std::vector<TokenId>& tokens) const {
    std::uint64_t key = splitmix(seed);
    for (const std::uint64_t part : {tokens.size(), static_cast<std::size_t>(tokens[tokens.size() - 2]),
                                     static_cast<std::size_t>(tokens.back())})
      key = splitmix(key ^ part);
    std::vector<float> row(kVocab);
    for (std::uint64_t token = 0; token < kVocab; ++token)
      row[token] = static_cast<float>(splitmix(key ^ token) >> 41U) / 1048576.0f;
    for (const TokenId end : ends) row[static_cast<std::size_t>(end)] += bias;
    row[0] = -1000.0f;
    return row;
  }
};

/// A whole search over the made-up model.
std::vector<BeamSearch::Hypothesis> run(const BeamParams& params, const MadeUp& model,
                                        std::uint32_t max_tokens, const SamplingParams& sampling = {}) {
  BeamSearch search(params, model.ends, max_tokens);
  std::vector<std::vector<TokenId>> texts = {{5, 7, 3}};
  while (!search.done()) {
    EXPECT_EQ(search.rows(), texts.size());
    std::vector<std::vector<BeamCandidate>> candidates;
    for (const auto& text : texts)
      candidates.push_back(beam_candidates(model.logits(text), search.candidates_wanted(), sampling));
    std::vector<std::vector<TokenId>> next;
    for (const BeamSearch::Move& move : search.advance(candidates)) {
      next.push_back(texts.at(move.from));
      next.back().push_back(move.token);
    }
    texts = std::move(next);
  }
  EXPECT_EQ(search.rows(), 0u);
  return search.best(params.width);
}

std::vector<TokenId> ids(const BeamSearch::Hypothesis& hypothesis) {
  std::vector<TokenId> out;
  for (const GeneratedToken& token : hypothesis.tokens) out.push_back(token.token);
  return out;
}

struct Golden {
  std::string line;
  BeamParams params;
  MadeUp model;
  std::uint32_t max_tokens = 0;
  struct Hypothesis {
    double score = 0;
    bool stopped = false;
    std::vector<TokenId> tokens;  ///< without the end token
  };
  std::vector<Hypothesis> hypotheses;
};

std::vector<Golden> goldens() {
  std::ifstream file("tests/golden/beam_search.txt");
  std::vector<Golden> out;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    std::string kind, early;
    in >> kind;
    if (kind == "case") {
      Golden& golden = out.emplace_back();
      golden.line = line;
      BeamParams& p = golden.params;
      in >> golden.model.seed >> p.width >> p.groups >> p.diversity_penalty >> p.length_penalty >> early >>
          golden.max_tokens >> golden.model.bias;
      p.early_stopping = early == "True"    ? EarlyStopping::on
                         : early == "never" ? EarlyStopping::never
                                            : EarlyStopping::off;
      for (TokenId end = 0; in >> end;) golden.model.ends.push_back(end);
    } else {
      Golden::Hypothesis& hypothesis = out.back().hypotheses.emplace_back();
      in >> hypothesis.score >> hypothesis.stopped;
      for (TokenId token = 0; in >> token;) hypothesis.tokens.push_back(token);
    }
  }
  return out;
}

TEST(BeamSearch, FindsWhatHuggingFaceFinds) {
  const std::vector<Golden> all = goldens();
  ASSERT_GE(all.size(), 300u);
  std::size_t stopped = 0, cut = 0;
  for (const Golden& golden : all) {
    SCOPED_TRACE(golden.line);
    const auto found = run(golden.params, golden.model, golden.max_tokens);
    ASSERT_EQ(found.size(), golden.hypotheses.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Golden::Hypothesis& expected = golden.hypotheses[i];
      std::vector<TokenId> tokens = ids(found[i]);
      EXPECT_EQ(found[i].stopped, expected.stopped);
      if (found[i].stopped) tokens.pop_back();
      EXPECT_EQ(tokens, expected.tokens);
      EXPECT_NEAR(found[i].score, expected.score, 1e-4 * std::max(1.0, std::abs(expected.score)));
      (expected.stopped ? stopped : cut) += 1;
    }
  }
  EXPECT_GT(stopped, 300u) << "the cases must see both ends";
  EXPECT_GT(cut, 300u);
}

TEST(BeamSearch, OneBeamIsGreedy) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const MadeUp model{seed, {1}, 1.5f};
    std::vector<TokenId> text = {5, 7, 3}, greedy;
    while (greedy.size() < 10 && (greedy.empty() || greedy.back() != 1)) {
      const auto logits = model.logits(text);
      greedy.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      text.push_back(greedy.back());
    }
    EXPECT_EQ(ids(run({.width = 1}, model, 10)[0]), greedy) << seed;
  }
}

TEST(BeamSearch, AsManyBeamsAsTextsFindTheLikeliest) {
  // Two tokens of 32: every first token is kept, so nothing is missed.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const MadeUp model{seed, {}, 0};
    double best = -1e9;
    for (const BeamCandidate& first : beam_candidates(model.logits({5, 7, 3}), kVocab, {}))
      for (const BeamCandidate& second :
           beam_candidates(model.logits({5, 7, 3, first.token.token}), kVocab, {}))
        best = std::max(best, (first.logprob + second.logprob) / 2);
    EXPECT_NEAR(run({.width = kVocab}, model, 2)[0].score, best, 1e-12) << seed;
  }
}

TEST(BeamSearch, TheFirstGroupIsASearchOfItsOwn) {
  const MadeUp model{3, {}, 0};
  const auto alone = run({.width = 2}, model, 6);
  const auto grouped = run({.width = 6, .groups = 3, .diversity_penalty = 50.0f}, model, 6);
  for (const auto& hypothesis : alone) {
    const auto same = [&](const BeamSearch::Hypothesis& other) {
      return ids(other) == ids(hypothesis) && other.score == hypothesis.score;
    };
    EXPECT_TRUE(std::any_of(grouped.begin(), grouped.end(), same));
  }
  // A penalty this high keeps groups apart at every position.
  for (std::size_t position = 0; position < 6; ++position) {
    std::set<TokenId> tokens;
    for (const auto& hypothesis : run({.width = 4, .groups = 4, .diversity_penalty = 1000.0f}, model, 6))
      tokens.insert(ids(hypothesis)[position]);
    EXPECT_EQ(tokens.size(), 4u);
  }
}

TEST(BeamSearch, GroupsThatDoNotAvoidEachOtherAreEqual) {
  const MadeUp model{4, {1}, 2.0f};
  const auto found = run({.width = 4, .groups = 2}, model, 8);
  ASSERT_EQ(found.size(), 4u);
  for (std::size_t i = 0; i < 4; i += 2) EXPECT_EQ(ids(found[i]), ids(found[i + 1]));
}

TEST(BeamSearch, CandidatesAreTheSoftmaxsAndSayWhatWasAskedFor) {
  const std::vector<float> logits = {1.0f, 3.0f, -std::numeric_limits<float>::infinity(), 2.0f};
  const double total = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  const auto plain = beam_candidates(logits, 4, {});
  ASSERT_EQ(plain.size(), 3u) << "what is impossible is no candidate";
  EXPECT_EQ(plain[0].token.token, 1);
  EXPECT_NEAR(plain[0].logprob, 3.0 - std::log(total), 1e-12);
  EXPECT_EQ(plain[0].token.logprob, 0.0f);
  SamplingParams reported;
  reported.report_logprobs = true;
  reported.logprobs = 2;
  const auto full = beam_candidates(logits, 1, reported);
  ASSERT_EQ(full.size(), 1u);
  EXPECT_FLOAT_EQ(full[0].token.logprob, static_cast<float>(plain[0].logprob));
  ASSERT_EQ(full[0].token.top.size(), 2u);
  EXPECT_EQ(full[0].token.top[1].token, 3);
}

TEST(BeamSearch, WhereNothingCanFollowItEndsWithWhatItHas) {
  BeamSearch search({.width = 2}, {1}, 5);
  const std::vector<std::vector<BeamCandidate>> first = {
      {{{1, 0, {}}, -0.5}, {{4, 0, {}}, -1.0}, {{6, 0, {}}, -2.0}}};
  ASSERT_EQ(search.advance(first).size(), 2u);
  EXPECT_TRUE(search.advance(std::vector<std::vector<BeamCandidate>>(2)).empty());
  EXPECT_TRUE(search.done());
  const auto best = search.best(2);
  ASSERT_EQ(best.size(), 1u);
  EXPECT_TRUE(best[0].stopped);
}

TEST(BeamSearch, ParametersOutOfBoundsAreNamed) {
  const auto refused = [](const BeamParams& params) {
    const auto valid = validate(params);
    return valid ? std::string() : valid.error().detail;
  };
  EXPECT_EQ(refused({.width = 4, .groups = 2, .diversity_penalty = 0.5f}), "");
  EXPECT_NE(refused({.width = 0}).find("width"), std::string::npos);
  EXPECT_NE(refused({.width = 65}).find("width"), std::string::npos);
  EXPECT_NE(refused({.width = 4, .groups = 3}).find("groups"), std::string::npos);
  EXPECT_NE(refused({.width = 4, .groups = 0}).find("groups"), std::string::npos);
  EXPECT_NE(refused({.width = 4, .groups = 1, .diversity_penalty = 1.0f}).find("diversity_penalty"),
            std::string::npos);
  EXPECT_NE(refused({.width = 4, .groups = 2}).find("diversity_penalty"), std::string::npos);
  EXPECT_NE(refused({.width = 4, .groups = 2, .diversity_penalty = -1.0f}).find("diversity_penalty"),
            std::string::npos);
  EXPECT_NE(refused({.width = 4, .length_penalty = std::nanf("")}).find("length_penalty"), std::string::npos);
}

}  // namespace
}  // namespace troupe
