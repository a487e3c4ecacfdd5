#pragma once
// The stages pre-tokenizers are made of: each is one regular expression of a published tokenizer.json,
// written by hand as a scanner (the expression stands above each in pre_tokenizer_stages.cpp). A stage sees
// one piece at a time: its look-aheads end with the piece.
#include <cstddef>

namespace troupe::pre_tokenizer_stages {

/// Bytes [begin, end); empty at the limit: nothing more was found.
struct Piece {
  std::size_t begin, end;
};

/// The first match at or after `from` that ends by `limit`. `text` is valid UTF-8 and both are character
/// boundaries.
using Stage = Piece (*)(const char* text, std::size_t from, std::size_t limit);

// Words with their leading space.
Piece gpt2(const char* text, std::size_t from, std::size_t limit);
Piece bloom(const char* text, std::size_t from, std::size_t limit);
// The cl100k family: any contraction's case, one leading character, numbers by digits.
Piece llama3(const char* text, std::size_t from, std::size_t limit);
Piece llama3_whole_numbers(const char* text, std::size_t from, std::size_t limit);
Piece qwen2(const char* text, std::size_t from, std::size_t limit);
Piece qwen2_without_contractions(const char* text, std::size_t from, std::size_t limit);
Piece qwen35(const char* text, std::size_t from, std::size_t limit);
Piece seed_coder(const char* text, std::size_t from, std::size_t limit);
// The o200k family: words also split where case rises.
Piece tekken(const char* text, std::size_t from, std::size_t limit);
Piece gpt4o(const char* text, std::size_t from, std::size_t limit);
// Single classes.
Piece one_number(const char* text, std::size_t from, std::size_t limit);
Piece up_to_three_numbers(const char* text, std::size_t from, std::size_t limit);
Piece numbers(const char* text, std::size_t from, std::size_t limit);
Piece three_ascii_digits(const char* text, std::size_t from, std::size_t limit);
Piece falcon_punctuation(const char* text, std::size_t from, std::size_t limit);
Piece default_punctuation(const char* text, std::size_t from, std::size_t limit);
Piece one_newline(const char* text, std::size_t from, std::size_t limit);
Piece lines_and_newlines(const char* text, std::size_t from, std::size_t limit);
// DeepSeek.
Piece deepseek_cased_letters(const char* text, std::size_t from, std::size_t limit);
Piece deepseek_punctuation(const char* text, std::size_t from, std::size_t limit);
Piece deepseek_trailing_space(const char* text, std::size_t from, std::size_t limit);
Piece deepseek_asian(const char* text, std::size_t from, std::size_t limit);
Piece deepseek_coder_letters(const char* text, std::size_t from, std::size_t limit);
Piece deepseek_coder_punctuation(const char* text, std::size_t from, std::size_t limit);
Piece deepseek3_asian(const char* text, std::size_t from, std::size_t limit);
Piece deepseek3_words(const char* text, std::size_t from, std::size_t limit);

}  // namespace troupe::pre_tokenizer_stages
