#pragma once
// Whether a draft model speaks of the same tokens as its target.
#include "common/gguf/gguf.hpp"
#include "common/wire/draft_messages.hpp"

namespace troupe::draft {

/// Hash of `tokenizer.ggml.tokens`: a token id means the same to every model with the same one. Errors:
/// file_malformed where the file has no such list. Cost: O(bytes of all tokens).
[[nodiscard]] Expected<VocabularyId> vocabulary_id(const gguf::File& file);

}  // namespace troupe::draft
