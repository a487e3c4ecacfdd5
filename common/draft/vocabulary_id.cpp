#include "common/draft/vocabulary_id.hpp"

#include "common/base/hash.hpp"

namespace troupe::draft {

Expected<VocabularyId> vocabulary_id(const gguf::File& file) {
  constexpr const char* kKey = "tokenizer.ggml.tokens";
  const auto tokens = file.string_array(kKey);
  TROUPE_TRY(tokens);
  if (!*tokens || (*tokens)->empty())
    return fail(Errc::file_malformed, file.path().string() + ": " + kKey + " is missing");
  Hasher hasher;
  hasher.text("troupe-vocabulary-1").number((*tokens)->size());
  for (const std::string_view token : **tokens) hasher.text(token);
  return hasher.finish<VocabularyId>();
}

}  // namespace troupe::draft
