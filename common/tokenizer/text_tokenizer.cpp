// The Tokenizer that every file gets: special tokens are found first, what lies between goes to the file's
// algorithm.
#include <fmt/format.h>

#include <algorithm>

#include "common/tokenizer/fragment_encoder.hpp"
#include "common/tokenizer/pre_tokenizer.hpp"
#include "common/tokenizer/special_tokens.hpp"
#include "common/tokenizer/utf8.hpp"
#include "common/tokenizer/vocabulary.hpp"

namespace troupe {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 28;

struct Settings {
  TokenId bos = -1, eos = -1;
  bool add_bos = false, add_eos = false, space_prefix = false;
  std::string chat_template;
};

std::string without(std::string_view text, std::string_view mark) {
  std::string kept;
  kept.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(mark, at), text.size());
    kept += text.substr(at, end - at);
    at = end + mark.size();
  }
  return kept;
}

class TextTokenizer final : public Tokenizer {
 public:
  TextTokenizer(std::unique_ptr<Vocabulary> vocabulary, std::unique_ptr<FragmentEncoder> encoder,
                SpecialTokenFinder finder, Settings settings)
      : vocabulary_(std::move(vocabulary)),
        encoder_(std::move(encoder)),
        finder_(std::move(finder)),
        settings_(std::move(settings)) {}

  Expected<std::vector<TokenId>> encode(std::string_view text, SpecialTokens special,
                                        bool add_bos) const override {
    return encode_checked(text, special, {}, add_bos);
  }

  Expected<std::vector<TokenId>> encode_marked(std::string_view text, std::string_view mark,
                                               bool add_bos) const override {
    return encode_checked(text, SpecialTokens::parse, mark, add_bos);
  }

  std::string mark_control_spellings(std::string_view text, std::string_view mark) const override {
    std::string marked;
    marked.reserve(text.size() + mark.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = utf8::length_from_lead(text[at]);
      marked += text.substr(at, length);
      if (finder_.control_starts(text, at)) marked += mark;
      at += length;
    }
    return marked;
  }

  std::string token_bytes(TokenId token, bool show_special) const override {
    if (!vocabulary_->contains(token)) return {};
    if (vocabulary_->is_special(token) && !show_special) return {};
    return std::string(vocabulary_->bytes(token));
  }

  Expected<std::string> decode(std::span<const TokenId> tokens, bool show_special) const override {
    std::string bytes;
    bool first = settings_.space_prefix;
    for (const TokenId token : tokens) {
      if (!vocabulary_->contains(token))
        return fail(Errc::invalid_argument,
                    fmt::format("token {} of a vocabulary of {}", token, vocabulary_->size()));
      if (vocabulary_->is_special(token) && !show_special) continue;
      const std::string_view piece = vocabulary_->bytes(token);
      if (piece.empty()) continue;
      bytes += first && piece.front() == ' ' ? piece.substr(1) : piece;
      first = false;
    }
    return utf8::with_replacements(bytes);
  }

  std::size_t vocab_size() const override { return vocabulary_->size(); }
  TokenId bos() const override { return settings_.bos; }
  TokenId eos() const override { return settings_.eos; }
  std::span<const TokenId> end_tokens() const override { return vocabulary_->end_tokens(); }
  bool is_special(TokenId token) const override {
    return vocabulary_->contains(token) && vocabulary_->is_special(token);
  }
  std::string_view token_text(TokenId token) const override {
    return vocabulary_->contains(token) ? vocabulary_->spelling(token) : std::string_view{};
  }
  std::string_view chat_template() const override { return settings_.chat_template; }
  bool adds_space_prefix() const override { return settings_.space_prefix; }

 private:
  Expected<std::vector<TokenId>> encode_checked(std::string_view text, SpecialTokens special,
                                                std::string_view mark, bool add_bos) const {
    if (text.size() > kMaxTextBytes)
      return fail(Errc::invalid_argument,
                  fmt::format("{} bytes of text, expected at most {}", text.size(), kMaxTextBytes));
    if (const auto offset = utf8::first_invalid(text))
      return fail(Errc::invalid_utf8, fmt::format("byte {} of the text", *offset));
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 3 + 4);
    if (add_bos && settings_.add_bos && settings_.bos >= 0) ids.push_back(settings_.bos);
    encode_parts(text, special, mark, ids);
    if (add_bos && settings_.add_eos && settings_.eos >= 0) ids.push_back(settings_.eos);
    return ids;
  }

  void encode_parts(std::string_view text, SpecialTokens special, std::string_view mark,
                    std::vector<TokenId>& ids) const {
    std::size_t at = 0;
    bool starts_text = true;
    while (at < text.size()) {
      const auto match = finder_.find(text, at, special);
      const std::size_t end = match ? match->begin : text.size();
      if (end > at) {
        const std::string_view between = text.substr(at, end - at);
        const bool marked = !mark.empty() && between.find(mark) != std::string_view::npos;
        const std::string unmarked = marked ? without(between, mark) : std::string();
        encoder_->encode(marked ? unmarked : between, starts_text, ids);
        starts_text = false;
      }
      if (!match) return;
      ids.push_back(match->id);
      starts_text = true;
      at = match->end;
    }
  }

  std::unique_ptr<Vocabulary> vocabulary_;  // the encoder refers to it
  std::unique_ptr<FragmentEncoder> encoder_;
  SpecialTokenFinder finder_;
  Settings settings_;
};

/// Every text stands between [CLS] and [SEP], which files name by id or by spelling alone.
Expected<std::shared_ptr<const Tokenizer>> make_word_pieces(TokenizerSpec spec) {
  const auto find = [&](std::string_view spelling) {
    const auto found = std::ranges::find(spec.tokens, spelling);
    return found == spec.tokens.end() ? TokenId{-1} : static_cast<TokenId>(found - spec.tokens.begin());
  };
  if (spec.bos < 0) spec.bos = find("[CLS]");
  if (spec.eos < 0) spec.eos = find("[SEP]");
  if (spec.unknown < 0) spec.unknown = find("[UNK]");
  auto made = Vocabulary::make(spec, Spelling::space_mark);
  if (!made) return tl::unexpected<Error>(std::move(made.error()));
  auto vocabulary = std::make_unique<Vocabulary>(std::move(*made));
  auto encoder = make_word_piece_encoder(spec, *vocabulary);
  if (!encoder) return tl::unexpected<Error>(std::move(encoder.error()));
  Settings settings{spec.bos, spec.eos, spec.add_bos.value_or(true), spec.add_eos.value_or(true), true, {}};
  SpecialTokenFinder finder(*vocabulary, spec.file_name, spec.pre);
  return std::make_shared<const TextTokenizer>(std::move(vocabulary), std::move(*encoder), std::move(finder),
                                               std::move(settings));
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> make_tokenizer(const TokenizerSpec& spec) {
  if (spec.model == "bert") return make_word_pieces(spec);
  const bool unigram = spec.model == "t5";
  const bool scored = unigram || spec.model == "llama";
  if (!scored && spec.model != "gpt2" && spec.model != "gemma4")
    return fail(Errc::file_unsupported,
                fmt::format("tokenizer.ggml.model is \"{}\", known are gpt2, llama, gemma4, t5, bert", spec.model));
  const Spelling spelling = spec.model == "gpt2" ? Spelling::byte_alphabet : Spelling::space_mark;
  auto made = Vocabulary::make(spec, spelling);
  if (!made) return tl::unexpected<Error>(std::move(made.error()));
  auto vocabulary = std::make_unique<Vocabulary>(std::move(*made));

  const bool space_prefix = scored && spec.add_space_prefix.value_or(true);
  auto encoder = unigram ? make_unigram_encoder(spec, *vocabulary, space_prefix)
                 : scored ? make_scored_pair_encoder(spec, *vocabulary, space_prefix)
                          : make_byte_pair_encoder(spec, *vocabulary);
  if (!encoder) return tl::unexpected<Error>(std::move(encoder.error()));

  const PreTokenizerRule* rule = scored ? nullptr : find_pre_tokenizer(spec.pre);
  const bool bos_by_default = scored || (rule != nullptr && rule->add_bos);
  Settings settings{
      spec.bos,     spec.eos,          spec.add_bos.value_or(bos_by_default), spec.add_eos.value_or(false),
      space_prefix, spec.chat_template};
  SpecialTokenFinder finder(*vocabulary, spec.file_name, spec.pre);
  return std::make_shared<const TextTokenizer>(std::move(vocabulary), std::move(*encoder), std::move(finder),
                                               std::move(settings));
}

}  // namespace troupe
