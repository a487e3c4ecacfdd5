// BERT's WordPiece (Schuster and Nakajima 2012, "Japanese and Korean voice search"; Devlin et al. 2018, arXiv
// 1810.04805): words by space and punctuation, each cut into the longest pieces that the vocabulary has, from
// its beginning on.
#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/tokenizer/fragment_encoder.hpp"
#include "common/tokenizer/unicode_classes.hpp"
#include "common/tokenizer/unicode_fold.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

constexpr std::size_t kLongestWord = 100;  // characters; a longer one is unknown, as in BERT

/// Ideographs of Chinese: each is a word. The blocks that BERT names.
bool is_ideograph(char32_t code) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 8> kBlocks{{{0x4E00, 0x9FFF},
                                                                         {0x3400, 0x4DBF},
                                                                         {0x20000, 0x2A6DF},
                                                                         {0x2A700, 0x2B73F},
                                                                         {0x2B740, 0x2B81F},
                                                                         {0x2B920, 0x2CEAF},
                                                                         {0xF900, 0xFAFF},
                                                                         {0x2F800, 0x2FA1F}}};
  return std::ranges::any_of(kBlocks,
                             [&](const auto& block) { return code >= block.first && code <= block.second; });
}

bool is_ascii_punctuation(char32_t code) {
  return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
         (code >= 123 && code <= 126);
}

/// Two characters that were punctuation when BERT's tables were made.
constexpr char32_t kOncePunctuation[] = {0x166D, 0x111C9};

class WordPieceEncoder final : public FragmentEncoder {
 public:
  WordPieceEncoder(const TokenizerSpec& spec, const Vocabulary& vocabulary, TokenId unknown)
      : unknown_(unknown), classes_(char_classes()) {
    bool capitals = false;
    for (TokenId id = 0; vocabulary.contains(id); ++id) {
      if (!vocabulary.is_text(id)) continue;
      std::string_view text = vocabulary.spelling(id);
      const bool begins = text.starts_with(kSpaceMark);
      if (begins) text.remove_prefix(kSpaceMark.size());
      (begins ? beginnings_ : continuations_).emplace(text, id);
      capitals = capitals || std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
    }
    folds_ = spec.lowercase.value_or(!capitals);
  }

  void encode(std::string_view text, bool, std::vector<TokenId>& out) const override {
    const std::string plain = cleaned(text);
    std::size_t begin = 0;
    for (std::size_t at = 0; at < plain.size();) {
      const std::size_t length = utf8::length_from_lead(plain[at]);
      const char32_t code = utf8::decode_valid(plain.data() + at);
      const bool space = has(code, CharClass::space);
      if (space || is_punctuation(code)) {
        add_word(std::string_view(plain).substr(begin, at - begin), out);
        if (!space) add_word(std::string_view(plain).substr(at, length), out);
        begin = at + length;
      }
      at += length;
    }
    add_word(std::string_view(plain).substr(begin), out);
  }

 private:
  [[nodiscard]] bool has(char32_t code, std::uint16_t bits) const { return (classes_[code] & bits) != 0; }

  [[nodiscard]] bool is_punctuation(char32_t code) const {
    if (code < 0x80) return is_ascii_punctuation(code);
    if (std::ranges::find(kOncePunctuation, code) != std::end(kOncePunctuation)) return true;
    return has(code, CharClass::punctuation) && in_unicode_8(code);
  }

  /// Without controls, with space around ideographs, folded where the vocabulary is.
  [[nodiscard]] std::string cleaned(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); at += utf8::length_from_lead(text[at])) {
      const char32_t code = utf8::decode_valid(text.data() + at);
      const bool plain = code == '\t' || code == '\n' || code == '\r';  // no controls, unlike form feeds
      if (!plain && (code == 0 || code == 0xFFFD || (has(code, CharClass::other) && in_unicode_8(code))))
        continue;
      const bool blank = has(code, CharClass::space);
      if (blank) {
        out += ' ';
      } else if (is_ideograph(code)) {
        out += ' ';
        append(code, out);
        out += ' ';
      } else {
        append(code, out);
      }
    }
    return out;
  }
  void append(char32_t code, std::string& out) const {
    folds_ ? append_folded(code, out) : utf8::append(out, code);
  }

  void add_word(std::string_view word, std::vector<TokenId>& out) const {
    if (word.empty()) return;
    const std::size_t before = out.size();
    std::size_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1U : 0U;
    for (std::size_t at = 0; at < word.size() && characters <= kLongestWord;) {
      const auto [id, length] = longest(at == 0 ? beginnings_ : continuations_, word.substr(at));
      if (length == 0) break;
      out.push_back(id);
      at += length;
      if (at == word.size()) return;
    }
    out.resize(before);
    out.push_back(unknown_);
  }

  using Pieces = std::unordered_map<std::string_view, TokenId>;
  /// The longest piece that `text` begins with, and its bytes; 0: none.
  static std::pair<TokenId, std::size_t> longest(const Pieces& pieces, std::string_view text) {
    for (std::size_t length = text.size(); length > 0; --length)
      if (const auto found = pieces.find(text.substr(0, length)); found != pieces.end())
        return {found->second, length};
    return {-1, 0};
  }

  const TokenId unknown_;
  const std::uint16_t* const classes_;
  bool folds_ = true;
  Pieces beginnings_, continuations_;  // their keys are the vocabulary's
};

}  // namespace

Expected<std::unique_ptr<FragmentEncoder>> make_word_piece_encoder(const TokenizerSpec& spec,
                                                                   const Vocabulary& vocabulary) {
  if (spec.unknown < 0)
    return fail(Errc::file_malformed, "a WordPiece vocabulary without a token for unknown words");
  return std::make_unique<WordPieceEncoder>(spec, vocabulary, spec.unknown);
}

}  // namespace troupe
