#include "common/draft/vocabulary_id.hpp"

#include <gtest/gtest.h>

#include "common/gguf/writer.hpp"

namespace troupe::draft {
namespace {

Expected<VocabularyId> id_of(const std::vector<std::string>& tokens, std::string_view name = "m") {
  gguf::Writer writer;
  writer.set_string("general.name", name);
  if (!tokens.empty()) writer.set_strings("tokenizer.ggml.tokens", tokens);
  const std::vector<std::byte> bytes = writer.bytes();
  const auto file = gguf::File::parse(bytes, "test");
  if (!file) return tl::unexpected<Error>(file.error());
  return vocabulary_id(**file);
}

TEST(VocabularyId, IsTheSameForTheSameTokensInTheSameOrderOnly) {
  const auto one = id_of({"a", "b", "ab"});
  ASSERT_TRUE(one.has_value()) << to_string(one.error());
  EXPECT_EQ(*one, *id_of({"a", "b", "ab"}, "another model"));
  EXPECT_NE(*one, *id_of({"b", "a", "ab"}));
  EXPECT_NE(*one, *id_of({"a", "b", "a", "b"}));
  EXPECT_NE(*one, *id_of({"a", "b"}));
  EXPECT_NE(*one, *id_of({"a", "b", "ab", ""}));
}

TEST(VocabularyId, OfAFileWithoutTokensIsAnError) {
  const auto none = id_of({});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, Errc::file_malformed);
}

}  // namespace
}  // namespace troupe::draft
