#pragma once
// Vocabularies small enough to read, one per algorithm, for tests and fuzzing.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/tokenizer/byte_alphabet.hpp"
#include "common/tokenizer/token_spec.hpp"

namespace troupe::test {

/// Owns the strings a TokenizerSpec looks at.
struct SmallVocabulary {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  TokenizerSpec spec;

  TokenId add(std::string text, TokenKind kind = TokenKind::normal, float score = 0) {
    tokens.push_back(std::move(text));
    spec.kinds.push_back(kind);
    spec.scores.push_back(score);
    return static_cast<TokenId>(tokens.size() - 1);
  }
  /// Adds the merge and the token it makes.
  void add_merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    add(left + right);
  }
  [[nodiscard]] Expected<std::shared_ptr<const Tokenizer>> make() {
    spec.tokens.assign(tokens.begin(), tokens.end());
    spec.merges.assign(merges.begin(), merges.end());
    return make_tokenizer(spec);
  }
};

/// Ids 0 to 255 are the bytes; then "he", "ll", "hell", "hello", " w", " wo", "12", "\n\n", "é"; then
/// specials.
inline SmallVocabulary small_byte_level(const std::string& pre = "gpt-2") {
  SmallVocabulary v;
  v.spec.model = "gpt2";
  v.spec.pre = pre;
  for (unsigned byte = 0; byte < 256; ++byte)
    v.add(alphabet_from_bytes(std::string(1, static_cast<char>(static_cast<unsigned char>(byte)))));
  v.add_merge("h", "e");
  v.add_merge("l", "l");
  v.add_merge("he", "ll");
  v.add_merge("hell", "o");
  v.add_merge("\xC4\xA0", "w");  // "Ġ" spells the space
  v.add_merge("\xC4\xA0w", "o");
  v.add_merge("1", "2");
  v.add_merge("\xC4\x8A", "\xC4\x8A");  // "Ċ" spells the newline
  v.add_merge("\xC3\x83", "\xC2\xA9");  // "Ã©" spells the bytes of "é"
  v.spec.bos = v.add("<|start|>", TokenKind::control);
  v.spec.eos = v.add("<|im_end|>", TokenKind::control);
  return v;
}

/// 0 <unk>, 1 <s>, 2 </s>, 3 to 258 bytes, then pieces with scores (the higher, the earlier).
inline SmallVocabulary small_sentence_piece() {
  SmallVocabulary v;
  v.spec.model = "llama";
  v.spec.unknown = v.add("<unk>", TokenKind::unknown);
  v.spec.bos = v.add("<s>", TokenKind::control);
  v.spec.eos = v.add("</s>", TokenKind::control);
  for (unsigned byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    v.add(text, TokenKind::byte);
  }
  const std::string mark = "\xE2\x96\x81";
  float score = -1;
  for (const std::string& piece :
       {mark + "h", std::string("el"), std::string("lo"), mark + "hel", mark + "hello", mark + mark, mark,
        std::string("h"), std::string("e"), std::string("l"), std::string("o"), std::string("\xC3\xA9")})
    v.add(piece, TokenKind::normal, score--);
  return v;
}

}  // namespace troupe::test
