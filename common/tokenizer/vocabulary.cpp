#include "common/tokenizer/vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/tokenizer/byte_alphabet.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

/// Spellings that end an answer or a turn in model families, for files that do not name them by id.
constexpr std::string_view kEndSpellings[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "</s>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "<turn|>",
    "<end_of_utterance>",
    "<|END_OF_TURN_TOKEN|>",
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
    "[e~[",
};

constexpr std::size_t kMaxVocabularyBytes = std::size_t{1} << 30;

std::string with_spaces(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool mark = text.substr(at).starts_with(kSpaceMark);
    out += mark ? ' ' : text[at];
    at += mark ? kSpaceMark.size() : 1;
  }
  return out;
}

/// "<0x0A>" -> 10.
std::optional<unsigned char> byte_from_spelling(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  if (error != std::errc{} || end != text.data() + 5) return std::nullopt;
  return byte;
}

std::string bytes_of(std::string_view text, TokenKind kind, Spelling spelling) {
  if (kind == TokenKind::byte) {
    if (const auto byte = byte_from_spelling(text)) return std::string(1, static_cast<char>(*byte));
    return std::string(text);
  }
  if (kind != TokenKind::normal && kind != TokenKind::unused) return std::string(text);
  if (spelling == Spelling::space_mark) return with_spaces(text);
  return bytes_from_alphabet(text).value_or(std::string(text));
}

}  // namespace

void Vocabulary::add_token(std::string_view text, TokenKind kind, Spelling spelling) {
  const auto id = static_cast<TokenId>(kinds_.size());
  const std::string bytes = bytes_of(text, kind, spelling);
  spellings_.add(text);
  bytes_.add(bytes);
  kinds_.push_back(kind);
  const bool stands_for_byte =
      spelling == Spelling::byte_alphabet ? kind == TokenKind::normal : kind == TokenKind::byte;
  if (stands_for_byte && bytes.size() == 1) {
    TokenId& slot = byte_tokens_[static_cast<unsigned char>(bytes[0])];
    if (slot < 0) slot = id;
  }
}

void Vocabulary::find_end_tokens(const TokenizerSpec& spec) {
  for (const TokenId id : {spec.eos, spec.eot, spec.eom})
    if (id >= 0) end_tokens_.push_back(id);
  bool has_return = false;
  bool has_call = false;
  for (TokenId id = 0; contains(id); ++id) {
    const std::string_view text = spelling(id);
    has_return = has_return || text == "<|return|>" || text == "<|flush|>";
    has_call = has_call || text == "<|call|>" || text == "<|calls|>";
    // "</s>" is also an HTML tag: only a control token of that spelling ends an answer.
    const bool marked =
        kind(id) == TokenKind::control || (kind(id) == TokenKind::user_defined && text != "</s>");
    if (marked && std::ranges::find(kEndSpellings, text) != std::end(kEndSpellings))
      end_tokens_.push_back(id);
  }
  // Families with <|return|> and <|call|> use <|end|> between the parts of one answer.
  if (has_return && has_call)
    std::erase_if(end_tokens_, [&](TokenId id) { return id != spec.eos && spelling(id) == "<|end|>"; });
  std::ranges::sort(end_tokens_);
  const auto repeated = std::ranges::unique(end_tokens_);
  end_tokens_.erase(repeated.begin(), repeated.end());
  for (const TokenId id : end_tokens_) {
    TokenKind& own = kinds_[static_cast<std::size_t>(id)];
    if (own == TokenKind::user_defined) own = TokenKind::control;
  }
}

Expected<Vocabulary> Vocabulary::make(const TokenizerSpec& spec, Spelling spelling) {
  if (spec.tokens.empty()) return fail(Errc::file_malformed, "tokenizer.ggml.tokens is empty or missing");
  if (spec.tokens.size() > static_cast<std::size_t>(INT32_MAX / 2))
    return fail(Errc::file_unsupported, fmt::format("{} tokens, expected under 2^30", spec.tokens.size()));
  if (!spec.kinds.empty() && spec.kinds.size() != spec.tokens.size())
    return fail(Errc::file_malformed, fmt::format("tokenizer.ggml.token_type has {} entries, expected {}",
                                                  spec.kinds.size(), spec.tokens.size()));
  for (const TokenId id : {spec.bos, spec.eos, spec.eot, spec.eom, spec.unknown})
    if (id < -1 || (id >= 0 && static_cast<std::size_t>(id) >= spec.tokens.size()))
      return fail(Errc::file_malformed, fmt::format("special token {} of {} tokens", id, spec.tokens.size()));
  Vocabulary vocabulary;
  vocabulary.byte_tokens_.fill(-1);
  vocabulary.kinds_.reserve(spec.tokens.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string_view text = spec.tokens[i];
    total += text.size();
    if (total > kMaxVocabularyBytes)
      return fail(Errc::file_unsupported, fmt::format("the first {} tokens take over 1 GiB", i + 1));
    vocabulary.add_token(text, spec.kinds.empty() ? TokenKind::normal : spec.kinds[i], spelling);
  }
  vocabulary.find_end_tokens(spec);
  return vocabulary;
}

}  // namespace troupe
