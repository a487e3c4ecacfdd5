#pragma once
// Letters without case and accents, from ICU's tables.
#include <string>

namespace troupe {

/// Whether Unicode 8 had this character. Tokenizers of BERT are built on its tables: of what came later they
/// know no class, and their vocabularies were made so.
[[nodiscard]] bool in_unicode_8(char32_t code);

/// Appends the canonical decomposition of a character without its accents (nonspacing marks), in lower case,
/// as UTF-8: "É" gives "e". Threads: any.
void append_folded(char32_t code, std::string& out);

}  // namespace troupe
