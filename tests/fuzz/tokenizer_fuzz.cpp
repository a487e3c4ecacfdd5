// Any bytes as text: the first chooses the rule, the rest is encoded with special tokens as text and parsed.
// Text that is not UTF-8 must be refused as such; other text must come back byte for byte, whole and token by
// token.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/pre_tokenizer.hpp"
#include "common/tokenizer/utf8.hpp"
#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace {

using troupe::Errc;
using troupe::SpecialTokens;
using troupe::TokenId;
using TokenizerPtr = std::shared_ptr<const troupe::Tokenizer>;

void require(bool condition) {
  if (!condition) std::abort();
}

/// One byte-level tokenizer per pre-tokenizer that works on bytes, and the SentencePiece one last.
std::vector<TokenizerPtr> make_all() {
  std::vector<TokenizerPtr> all;
  for (const troupe::PreTokenizerRule& rule : troupe::pre_tokenizers())
    if (!rule.raw_characters) all.push_back(*troupe::test::small_byte_level(std::string(rule.name)).make());
  all.push_back(*troupe::test::small_sentence_piece().make());
  return all;
}

/// Unigram over the same pieces: it normalises, so what comes back is not always what went in.
TokenizerPtr make_unigram() {
  auto vocabulary = troupe::test::small_sentence_piece();
  vocabulary.spec.model.assign("t5");
  return *vocabulary.make();
}

std::string streamed(const TokenizerPtr& tokenizer, const std::vector<TokenId>& ids) {
  troupe::StreamDecoder stream(tokenizer);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = stream.push(id);
    require(!troupe::utf8::first_invalid(part));
    text += part;
  }
  return text + stream.flush();
}

void check(const TokenizerPtr& tokenizer, std::string_view text, bool reversible = true) {
  const auto ids = tokenizer->encode(text, SpecialTokens::as_text, false);
  const auto parsed = tokenizer->encode(text, SpecialTokens::parse, true);
  if (troupe::utf8::first_invalid(text)) {
    require(!ids && ids.error().code == Errc::invalid_utf8);
    require(!parsed && parsed.error().code == Errc::invalid_utf8);
    return;
  }
  require(ids && parsed);
  for (const TokenId id : *ids) require(!tokenizer->is_special(id));
  // SentencePiece spells the space as U+2581, so that character itself cannot come back.
  const bool exact =
      reversible && (!tokenizer->adds_space_prefix() || text.find("\xE2\x96\x81") == std::string_view::npos);
  const auto back = tokenizer->decode(*ids);
  require(back && (!exact || *back == text) && streamed(tokenizer, *ids) == *back);
  require(tokenizer->decode(*parsed, true).has_value() &&
          streamed(tokenizer, *parsed) == *tokenizer->decode(*parsed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<TokenizerPtr> tokenizers = make_all();
  if (size == 0) return 0;
  const TokenizerPtr& tokenizer =
      data[0] >= 192 ? tokenizers.back() : tokenizers[data[0] % tokenizers.size()];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  check(tokenizer, bytes);
  // Mutations are seldom valid UTF-8; their repaired form reaches the algorithms.
  if (troupe::utf8::first_invalid(bytes)) check(tokenizer, troupe::utf8::with_replacements(bytes));
  static const TokenizerPtr unigram = make_unigram();
  check(unigram, bytes, false);
  check(unigram, troupe::utf8::with_replacements(bytes), false);
  return 0;
}
