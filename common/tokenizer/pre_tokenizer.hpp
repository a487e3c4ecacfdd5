#pragma once
// Which stages cut a text into words, by the name that `tokenizer.ggml.pre` gives. Adding a name that shares
// a rule is one row in pre_tokenizer.cpp.
#include <span>
#include <string>
#include <string_view>

#include "common/tokenizer/pre_tokenizer_stages.hpp"

namespace troupe {

struct PreTokenizerRule {
  std::string_view name;
  std::span<const pre_tokenizer_stages::Stage> stages;
  bool whole_words_first = false;  ///< a word that is a token stays one, whatever the merges say
  bool add_bos = false;            ///< unless the file's own flag says otherwise
  bool raw_characters = false;     ///< merges work on characters with U+2581 for a space, not on bytes
};

[[nodiscard]] std::span<const PreTokenizerRule> pre_tokenizers();
/// nullptr: no such name.
[[nodiscard]] const PreTokenizerRule* find_pre_tokenizer(std::string_view name);
/// "default, gpt-2, ..." for messages.
[[nodiscard]] std::string known_pre_tokenizers();

/// Cuts text[begin, end) by each stage in turn and calls sink(begin, end) for every word, in order; words
/// cover the text. What a stage does not match goes on as a piece of its own.
template <class Sink>
void for_each_word(std::span<const pre_tokenizer_stages::Stage> stages, const char* text, std::size_t begin,
                   std::size_t end, Sink& sink) {
  if (stages.empty()) {
    sink(begin, end);
    return;
  }
  while (begin < end) {
    const pre_tokenizer_stages::Piece match = stages.front()(text, begin, end);
    if (match.begin > begin) for_each_word(stages.subspan(1), text, begin, match.begin, sink);
    if (match.end > match.begin) for_each_word(stages.subspan(1), text, match.begin, match.end, sink);
    begin = match.end;
  }
}

}  // namespace troupe
