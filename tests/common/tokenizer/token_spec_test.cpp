#include "common/tokenizer/token_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/gguf/writer.hpp"

namespace troupe {
namespace {

gguf::Writer small_file() {
  gguf::Writer writer;
  writer.set_string("tokenizer.ggml.model", "gpt2");
  writer.set_string("tokenizer.ggml.pre", "smollm");
  writer.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<|im_end|>"});
  writer.set_i32s("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 3});
  writer.set_strings("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  writer.set_u32("tokenizer.ggml.bos_token_id", 0xFFFFFFFFU);
  writer.set_string("tokenizer.chat_template", "{{ messages }}");
  return writer;
}

Expected<std::shared_ptr<const Tokenizer>> load(const gguf::Writer& writer) {
  const auto bytes = writer.bytes();
  const auto file = gguf::File::parse(bytes, "small");
  EXPECT_TRUE(file.has_value()) << (file ? "" : to_string(file.error()));
  if (!file) return tl::unexpected<Error>(file.error());
  return Tokenizer::from_gguf(**file);
}

TEST(TokenSpec, ReadsAFile) {
  gguf::Writer writer = small_file();
  writer.set_u32("tokenizer.ggml.eos_token_id", 3);
  const auto tokenizer = load(writer);
  ASSERT_TRUE(tokenizer.has_value()) << to_string(tokenizer.error());
  EXPECT_EQ((*tokenizer)->vocab_size(), 4U);
  EXPECT_EQ((*tokenizer)->bos(), -1) << "2^32 - 1 means none";
  EXPECT_EQ((*tokenizer)->eos(), 3);
  EXPECT_EQ((*tokenizer)->chat_template(), "{{ messages }}");
  EXPECT_EQ((*tokenizer)->encode("ab", SpecialTokens::as_text, true).value(), std::vector<TokenId>{2});
}

void expect_refusal(const gguf::Writer& writer, Errc code, const std::string& part) {
  const auto tokenizer = load(writer);
  ASSERT_FALSE(tokenizer.has_value()) << part;
  EXPECT_EQ(tokenizer.error().code, code);
  EXPECT_THAT(tokenizer.error().detail, testing::HasSubstr(part));
}

TEST(TokenSpec, RefusesIdsOutsideTheVocabulary) {
  gguf::Writer writer = small_file();
  writer.set_u32("tokenizer.ggml.eos_token_id", 4);
  expect_refusal(writer, Errc::file_malformed, "eos_token_id is 4");
}

TEST(TokenSpec, RefusesSizesThatDisagree) {
  gguf::Writer types;
  types.set_string("tokenizer.ggml.model", "gpt2");
  types.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  types.set_i32s("tokenizer.ggml.token_type", std::vector<std::int32_t>{1});
  expect_refusal(types, Errc::file_malformed, "token_type has 1 entries, expected 2");
  gguf::Writer scores;
  scores.set_string("tokenizer.ggml.model", "llama");
  scores.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  expect_refusal(scores, Errc::file_malformed, "scores has 0 entries, expected 2");
}

TEST(TokenSpec, RefusesUnknownKindsMergesAndMissingTokens) {
  gguf::Writer kinds;
  kinds.set_string("tokenizer.ggml.model", "gpt2");
  kinds.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  kinds.set_i32s("tokenizer.ggml.token_type", std::vector<std::int32_t>{9});
  expect_refusal(kinds, Errc::file_malformed, "token_type holds 9");
  gguf::Writer merges;
  merges.set_string("tokenizer.ggml.model", "gpt2");
  merges.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  merges.set_strings("tokenizer.ggml.merges", std::vector<std::string>{"ab"});
  expect_refusal(merges, Errc::file_malformed, "merges[0] is \"ab\"");
  gguf::Writer empty;
  empty.set_string("tokenizer.ggml.model", "gpt2");
  expect_refusal(empty, Errc::file_malformed, "tokens is empty or missing");
}

TEST(TokenSpec, NamesTheKnownOnesForAnUnknownModelOrRule) {
  gguf::Writer model;
  model.set_string("tokenizer.ggml.model", "rwkv");
  expect_refusal(model, Errc::file_unsupported, "known are gpt2, llama");
  gguf::Writer rule;
  rule.set_string("tokenizer.ggml.model", "gpt2");
  rule.set_string("tokenizer.ggml.pre", "no-such-rule");
  rule.set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  expect_refusal(rule, Errc::file_unsupported, "smollm");
}

TEST(TokenSpec, PassesOnAKeyOfTheWrongType) {
  gguf::Writer writer;
  writer.set_u32("tokenizer.ggml.model", 7);
  expect_refusal(writer, Errc::file_malformed, "tokenizer.ggml.model");
}

}  // namespace
}  // namespace troupe
