// SentencePiece's BPE (Kudo and Richardson 2018, arXiv 1808.06226): neighbours whose joined text is a token
// join, the highest score first; characters the vocabulary lacks become byte tokens. SentencePiece knows no
// words, but a cut is exact wherever no token holds the two characters around it side by side, so text is cut
// before most space marks.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/tokenizer/fragment_encoder.hpp"
#include "common/tokenizer/merge.hpp"
#include "common/tokenizer/self_encoding.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

/// Ascending in this number is descending in score.
std::uint32_t priority_of(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // -0 becomes 0
  const std::uint32_t ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return std::min(~ascending, UINT32_MAX - 1);
}

class ScoredPairEncoder final : public FragmentEncoder {
 public:
  ScoredPairEncoder(const TokenizerSpec& spec, const Vocabulary& vocabulary, bool add_space_prefix)
      : vocabulary_(vocabulary),
        unknown_(spec.unknown),
        add_space_prefix_(add_space_prefix),
        texts_(vocabulary.size()),
        whole_(vocabulary.size()) {
    priorities_.reserve(vocabulary.size());
    for (TokenId id = 0; vocabulary.contains(id); ++id) {
      priorities_.push_back(priority_of(spec.scores[static_cast<std::size_t>(id)]));
      const std::string_view text = vocabulary.spelling(id);
      // A user-defined token is found by its spelling before this; one spelled with space marks can only be
      // met here.
      const bool defined_in_marks =
          vocabulary.kind(id) == TokenKind::user_defined && text.find(kSpaceMark) != std::string_view::npos;
      if (!vocabulary.is_text(id) && !defined_in_marks) continue;
      texts_.insert(text, id);
      longest_ = std::max(longest_, text.size());
      note_joins(text);
    }
    std::ranges::sort(joined_to_mark_);
  }

  void encode(std::string_view text, bool starts_text, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
    if (add_space_prefix_ && starts_text) marked += kSpaceMark;
    for (const char c : text) c == ' ' ? marked += kSpaceMark : marked += c;

    MergeScratch scratch;
    std::size_t begin = 0;
    char32_t previous = kMark;
    for (std::size_t at = 0; at < marked.size(); at += utf8::length_from_lead(marked[at])) {
      const char32_t code = utf8::decode_valid(marked.data() + at);
      if (code == kMark && previous != kMark && !std::ranges::binary_search(joined_to_mark_, previous)) {
        encode_piece(std::string_view(marked).substr(begin, at - begin), scratch, out);
        begin = at;
      }
      previous = code;
    }
    encode_piece(std::string_view(marked).substr(begin), scratch, out);
  }

 private:
  static constexpr char32_t kMark = 0x2581;

  /// Remembers the characters that stand right before a space mark inside a token.
  void note_joins(std::string_view text) {
    if (utf8::first_invalid(text)) return;
    char32_t previous = kMark;
    for (std::size_t at = 0; at < text.size(); at += utf8::length_from_lead(text[at])) {
      const char32_t code = utf8::decode_valid(text.data() + at);
      if (code == kMark && previous != kMark &&
          std::ranges::find(joined_to_mark_, previous) == joined_to_mark_.end())
        joined_to_mark_.push_back(previous);
      previous = code;
    }
  }

  [[nodiscard]] TokenId find(std::string_view text) const {
    return text.size() <= longest_ ? texts_.find(text) : StringMap::kAbsent;
  }

  void encode_piece(std::string_view piece, MergeScratch& scratch, std::vector<TokenId>& out) const {
    const TokenId whole = find(piece);
    if (whole >= 0 && whole_.holds(whole, [&] {
          merge_piece(piece, scratch);
          return scratch.symbols.size() == 1;
        })) {
      out.push_back(whole);
      return;
    }
    merge_piece(piece, scratch);
    for (const Symbol& symbol : scratch.symbols) {
      if (symbol.id >= 0) {
        out.push_back(symbol.id);
      } else {
        emit_bytes(piece.substr(symbol.begin, symbol.length), out);
      }
    }
  }

  void merge_piece(std::string_view piece, MergeScratch& scratch) const {
    scratch.symbols.clear();
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t length = utf8::length_from_lead(piece[at]);
      scratch.symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(length),
                                 find(piece.substr(at, length))});
      at += length;
    }
    merge_symbols(scratch, [this, piece](const Symbol& left, const Symbol& right) -> Merge {
      const TokenId id = find(piece.substr(left.begin, left.length + right.length));
      return id < 0 ? Merge{} : Merge{priorities_[static_cast<std::size_t>(id)], id};
    });
  }

  void emit_bytes(std::string_view bytes, std::vector<TokenId>& out) const {
    const bool all_known =
        std::ranges::all_of(bytes, [this](char b) { return vocabulary_.byte_token(b) >= 0; });
    if (all_known) {
      for (const char byte : bytes) out.push_back(vocabulary_.byte_token(byte));
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
  }

  const Vocabulary& vocabulary_;
  TokenId unknown_;
  bool add_space_prefix_;
  StringMap texts_;
  std::size_t longest_ = 0;
  std::vector<std::uint32_t> priorities_;
  std::vector<char32_t> joined_to_mark_;
  SelfEncoding whole_;
};

}  // namespace

Expected<std::unique_ptr<FragmentEncoder>> make_scored_pair_encoder(const TokenizerSpec& spec,
                                                                    const Vocabulary& vocabulary,
                                                                    bool add_space_prefix) {
  if (spec.scores.size() != vocabulary.size())
    return fail(Errc::file_malformed, fmt::format("tokenizer.ggml.scores has {} entries, expected {}",
                                                  spec.scores.size(), vocabulary.size()));
  return std::make_unique<ScoredPairEncoder>(spec, vocabulary, add_space_prefix);
}

}  // namespace troupe
