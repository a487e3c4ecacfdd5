// Byte-pair encoding over bytes (Sennrich et al. 2016, arXiv 1508.07909; over bytes: Radford et al. 2019):
// the text is cut into words by the pre-tokenizer, and in each word the pair that stands first in the merge
// list joins first.
#include <fmt/format.h>

#include <array>
#include <optional>

#include "common/tokenizer/byte_alphabet.hpp"
#include "common/tokenizer/fragment_encoder.hpp"
#include "common/tokenizer/merge.hpp"
#include "common/tokenizer/pre_tokenizer.hpp"
#include "common/tokenizer/self_encoding.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

/// Symbols are ids of text tokens, and behind them numbers for strings that only occur inside merges.
class BytePairEncoder final : public FragmentEncoder {
 public:
  BytePairEncoder(const PreTokenizerRule& rule, const Vocabulary& vocabulary)
      : rule_(rule),
        vocabulary_(vocabulary),
        next_symbol_(static_cast<std::int32_t>(vocabulary.size())),
        symbols_(vocabulary.size()),
        whole_(vocabulary.size()) {
    for (TokenId id = 0; vocabulary.contains(id); ++id) {
      if (!vocabulary.is_text(id)) continue;
      if (const auto key = key_of_spelling(vocabulary.spelling(id))) symbols_.insert(*key, id);
    }
    for (unsigned byte = 0; byte < 256; ++byte)
      byte_symbols_[byte] = intern(std::string(1, static_cast<char>(static_cast<unsigned char>(byte))));
  }

  /// False: `merge` is not two strings with a space between.
  bool add_merge(std::string_view merge, std::uint32_t priority) {
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) return false;
    const auto left = key_of_spelling(merge.substr(0, space));
    const auto right = key_of_spelling(merge.substr(space + 1));
    if (!left || !right) return true;
    const std::int32_t left_id = intern(*left);
    const std::int32_t right_id = intern(*right);
    merges_.insert(left_id, right_id, {priority, intern(*left + *right)});
    return true;
  }

  void encode(std::string_view text, bool /*starts_text*/, std::vector<TokenId>& out) const override {
    std::string marked;
    if (rule_.raw_characters) {
      marked = with_marks(text);
      text = marked;
    }
    MergeScratch scratch;
    auto word = [&](std::size_t begin, std::size_t end) {
      encode_word(text.substr(begin, end - begin), scratch, out);
    };
    for_each_word(rule_.stages, text.data(), 0, text.size(), word);
  }

 private:
  /// Merges and words are matched as the bytes they mean. nullopt: spelled outside the alphabet, which no
  /// text can reach (Command R's vocabulary has such tokens).
  [[nodiscard]] std::optional<std::string> key_of_spelling(std::string_view spelled) const {
    if (rule_.raw_characters) return std::string(spelled);
    return bytes_from_alphabet(spelled);
  }

  std::int32_t intern(const std::string& text) {
    const std::int32_t known = symbols_.insert(text, next_symbol_);
    if (known != StringMap::kAbsent) return known;
    inner_texts_.push_back(text);
    return next_symbol_++;
  }

  static std::string with_marks(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 2);
    for (const char c : text) c == ' ' ? out += kSpaceMark : out += c;
    return out;
  }

  void encode_word(std::string_view word, MergeScratch& scratch, std::vector<TokenId>& out) const {
    const std::int32_t whole = symbols_.find(word);
    if (vocabulary_.contains(whole) && (stays_whole(word) || whole_.holds(whole, [&] {
          merge_word(word, scratch);
          return scratch.symbols.size() == 1;
        }))) {
      out.push_back(whole);
      return;
    }
    merge_word(word, scratch);
    for (const Symbol& symbol : scratch.symbols) emit(symbol, word, out);
  }

  [[nodiscard]] bool stays_whole(std::string_view word) const {
    return rule_.whole_words_first ||
           (rule_.raw_characters && word.find_first_not_of('\n') == std::string_view::npos);
  }

  /// Bytes without a token are left out before merging, as Hugging Face does (SmolLM2 has none for U+0004,
  /// and its unknown token is a special one, which text must not turn into).
  void merge_word(std::string_view word, MergeScratch& scratch) const {
    scratch.symbols.clear();
    if (rule_.raw_characters) {
      for (std::size_t at = 0; at < word.size();) {
        const std::size_t length = utf8::length_from_lead(word[at]);
        scratch.symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(length),
                                   symbols_.find(word.substr(at, length))});
        at += length;
      }
    } else {
      for (std::size_t at = 0; at < word.size(); ++at) {
        const std::int32_t symbol = byte_symbols_[static_cast<unsigned char>(word[at])];
        if (vocabulary_.contains(symbol))
          scratch.symbols.push_back({static_cast<std::uint32_t>(at), 1, symbol});
      }
    }
    merge_symbols(
        scratch, [this](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); });
  }

  void emit(const Symbol& symbol, std::string_view word, std::vector<TokenId>& out) const {
    if (vocabulary_.contains(symbol.id)) {
      out.push_back(symbol.id);
      return;
    }
    // A string between two merges that is no token itself, or a character the vocabulary lacks: its bytes.
    const std::string_view bytes =
        symbol.id < 0
            ? word.substr(symbol.begin, symbol.length)
            : std::string_view(inner_texts_[static_cast<std::size_t>(symbol.id) - vocabulary_.size()]);
    for (const char byte : bytes) {
      const TokenId id = vocabulary_.byte_token(byte);
      if (id >= 0) out.push_back(id);
    }
  }

  const PreTokenizerRule& rule_;
  const Vocabulary& vocabulary_;
  std::int32_t next_symbol_;
  StringMap symbols_;
  std::vector<std::string> inner_texts_;
  std::array<std::int32_t, 256> byte_symbols_{};
  PairMap merges_;
  SelfEncoding whole_;
};

}  // namespace

Expected<std::unique_ptr<FragmentEncoder>> make_byte_pair_encoder(const TokenizerSpec& spec,
                                                                  const Vocabulary& vocabulary) {
  const std::string name = spec.model == "gemma4" ? "gemma4" : spec.pre.empty() ? "default" : spec.pre;
  const PreTokenizerRule* rule = find_pre_tokenizer(name);
  if (rule == nullptr)
    return fail(Errc::file_unsupported,
                fmt::format("tokenizer.ggml.pre is \"{}\", known are {}", name, known_pre_tokenizers()));
  auto encoder = std::make_unique<BytePairEncoder>(*rule, vocabulary);
  for (std::size_t i = 0; i < spec.merges.size(); ++i) {
    if (!encoder->add_merge(spec.merges[i], static_cast<std::uint32_t>(i)))
      return fail(Errc::file_malformed,
                  fmt::format("tokenizer.ggml.merges[{}] is \"{}\", expected two tokens with a space between",
                              i, spec.merges[i].substr(0, 60)));
  }
  return encoder;
}

}  // namespace troupe
