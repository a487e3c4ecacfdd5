#pragma once
// n-grams of a file of text, in a model's tokens: what superposed drafts are smoothed by.
#include <cstddef>
#include <memory>
#include <string>

#include "common/sampling/superposed/ngram_table.hpp"
#include "common/tokenizer/tokenizer.hpp"

namespace troupe::cli {

/// Counts the text piece by piece: it is never in memory as a whole, and no run goes on from one piece into
/// the next. Errors: file_not_found, io_failed, invalid_utf8 with the file's name. Cost: that of encoding it.
[[nodiscard]] Expected<std::shared_ptr<const NgramTable>> ngrams_of_file(const std::string& path,
                                                                         const Tokenizer& tokenizer,
                                                                         std::size_t most_runs);

}  // namespace troupe::cli
