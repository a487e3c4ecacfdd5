// SentencePiece's unigram model (Kudo 2018, arXiv 1804.10959): of all ways to cut a text into tokens, the one
// whose scores (log-probabilities) have the greatest sum, found by Viterbi's algorithm over a trie of the
// vocabulary.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/tokenizer/charsmap.hpp"
#include "common/tokenizer/flat_maps.hpp"
#include "common/tokenizer/fragment_encoder.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

constexpr float kUnknownPenalty = 10.0F;  // below the lowest score of the vocabulary

class UnigramEncoder final : public FragmentEncoder {
 public:
  UnigramEncoder(const TokenizerSpec& spec, const Vocabulary& vocabulary, CharsMap charsmap,
                 bool add_space_prefix)
      : vocabulary_(vocabulary),
        charsmap_(std::move(charsmap)),
        scores_(spec.scores),
        unknown_(spec.unknown),
        add_space_prefix_(add_space_prefix),
        collapse_spaces_(spec.remove_extra_whitespaces.value_or(true)) {
    float lowest = std::numeric_limits<float>::max();
    for (TokenId id = 0; vocabulary.contains(id); ++id) {
      if (!vocabulary.is_text(id)) continue;
      lowest = std::min(lowest, spec.scores[static_cast<std::size_t>(id)]);
      insert(vocabulary.spelling(id), id);
    }
    unknown_score_ = (lowest == std::numeric_limits<float>::max() ? 0.0F : lowest) - kUnknownPenalty;
  }

  void encode(std::string_view text, bool starts_text, std::vector<TokenId>& out) const override {
    const std::string normal = normalized(text, starts_text);
    if (normal.empty()) return;
    struct Best {
      float score =
          -std::numeric_limits<float>::infinity();  // in float32, as SentencePiece: near ties fall as there
      std::uint32_t begin = 0;
      TokenId id = -1;  // -1: a character that no token covers
    };
    std::vector<Best> best(normal.size() + 1);  // of the text before each byte
    best[0].score = 0;
    for (std::size_t at = 0; at < normal.size(); at += utf8::length_from_lead(normal[at])) {
      const float score = best[at].score;
      const auto offer = [&](std::size_t end, float gain, TokenId id) {
        if (score + gain > best[end].score) best[end] = {score + gain, static_cast<std::uint32_t>(at), id};
      };
      const std::size_t one = at + utf8::length_from_lead(normal[at]);
      bool covered = false;
      std::int32_t node = 0;
      for (std::size_t end = at; end < normal.size();) {
        node = children_.find(node, static_cast<unsigned char>(normal[end++])).id;
        if (node < 0) break;
        const TokenId id = tokens_[static_cast<std::size_t>(node)];
        if (id < 0) continue;
        offer(end, scores_[static_cast<std::size_t>(id)], id);
        covered = covered || end == one;
      }
      if (!covered) offer(one, unknown_score_, -1);
    }
    emit(normal, best, out);
  }

 private:
  void insert(std::string_view text, TokenId id) {
    std::int32_t node = 0;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      std::int32_t child = children_.find(node, byte).id;
      if (child < 0) {
        child = static_cast<std::int32_t>(tokens_.size());
        children_.insert(node, byte, Merge{0, child});
        tokens_.push_back(-1);
      }
      node = child;
    }
    TokenId& slot = tokens_[static_cast<std::size_t>(node)];
    if (slot < 0 && node != 0) slot = id;
  }

  /// The text with its sequences replaced and its spaces as marks: a run of spaces is one, none at the ends.
  [[nodiscard]] std::string normalized(std::string_view text, bool starts_text) const {
    std::string out;
    out.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
    bool pending = add_space_prefix_ && starts_text;  // a mark is due before the next character
    bool any = false;
    const auto add = [&](std::string_view part) {
      for (const char c : part) {
        if (c != ' ') {
          if (pending) out += kSpaceMark;
          pending = false;
          out += c;
          any = true;
        } else if (collapse_spaces_) {
          pending = pending || any || !starts_text;
        } else {
          if (pending) out += kSpaceMark;
          pending = true;
        }
      }
    };
    for (std::size_t at = 0; at < text.size();) {
      const auto match = charsmap_.longest(text.substr(at));
      const std::size_t length = match ? match->length : utf8::length_from_lead(text[at]);
      add(match ? match->replacement : text.substr(at, length));
      at += length;
    }
    if (pending && !collapse_spaces_) out += kSpaceMark;
    if (utf8::first_invalid(out)) return utf8::with_replacements(out);  // a match may end inside a character
    return out;
  }

  template <class Best>
  void emit(const std::string& text, const std::vector<Best>& best, std::vector<TokenId>& out) const {
    const std::size_t first = out.size();
    bool after_unknown = false;  // walking backwards: unknown characters side by side are one token
    for (std::size_t end = text.size(); end > 0; end = best[end].begin) {
      const std::size_t begin = best[end].begin;
      if (best[end].id >= 0) {
        out.push_back(best[end].id);
        after_unknown = false;
      } else if (all_bytes_known(text.substr(begin, end - begin))) {
        for (std::size_t at = end; at > begin; --at) out.push_back(vocabulary_.byte_token(text[at - 1]));
        after_unknown = false;
      } else {
        if (!after_unknown && unknown_ >= 0) out.push_back(unknown_);
        after_unknown = true;
      }
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
  }

  [[nodiscard]] bool all_bytes_known(std::string_view bytes) const {
    return std::ranges::all_of(bytes, [this](char b) { return vocabulary_.byte_token(b) >= 0; });
  }

  const Vocabulary& vocabulary_;
  CharsMap charsmap_;
  std::vector<float> scores_;
  TokenId unknown_;
  bool add_space_prefix_;
  bool collapse_spaces_;
  float unknown_score_ = 0;
  PairMap children_;                    // (node, byte) -> node
  std::vector<TokenId> tokens_ = {-1};  // of each node; the root is 0
};

}  // namespace

Expected<std::unique_ptr<FragmentEncoder>> make_unigram_encoder(const TokenizerSpec& spec,
                                                                const Vocabulary& vocabulary,
                                                                bool add_space_prefix) {
  if (spec.scores.size() != vocabulary.size())
    return fail(Errc::file_malformed, fmt::format("tokenizer.ggml.scores has {} entries, expected {}",
                                                  spec.scores.size(), vocabulary.size()));
  if (std::ranges::any_of(spec.scores, [](float score) { return !std::isfinite(score); }))
    return fail(Errc::file_malformed, "tokenizer.ggml.scores holds a number that is not finite");
  auto charsmap = CharsMap::read(spec.charsmap);
  if (!charsmap) return tl::unexpected<Error>(std::move(charsmap.error()));
  return std::make_unique<UnigramEncoder>(spec, vocabulary, std::move(*charsmap), add_space_prefix);
}

}  // namespace troupe
