#pragma once
// The part of a tokenizer that is one algorithm: text without special tokens to ids. One implementation per
// file.
#include <memory>
#include <string_view>
#include <vector>

#include "common/tokenizer/token_spec.hpp"
#include "common/tokenizer/vocabulary.hpp"

namespace troupe {

/// Immutable. Threads: any.
class FragmentEncoder {
 public:
  virtual ~FragmentEncoder() = default;
  /// Appends the ids of `text` (valid UTF-8, under 1 GiB). `starts_text`: nothing or a special token stands
  /// before it.
  virtual void encode(std::string_view text, bool starts_text, std::vector<TokenId>& out) const = 0;
};

/// Byte-level BPE, or BPE over characters where the pre-tokenizer's rule says so. `vocabulary` must outlive
/// it. Errors: file_malformed (a merge without a space in it), file_unsupported (pre-tokenizer).
[[nodiscard]] Expected<std::unique_ptr<FragmentEncoder>> make_byte_pair_encoder(const TokenizerSpec& spec,
                                                                                const Vocabulary& vocabulary);
/// SentencePiece's BPE by score, with bytes for what the vocabulary lacks. `vocabulary` must outlive it.
/// Errors: file_malformed (scores that do not match the tokens).
[[nodiscard]] Expected<std::unique_ptr<FragmentEncoder>> make_scored_pair_encoder(
    const TokenizerSpec& spec, const Vocabulary& vocabulary, bool add_space_prefix);

/// SentencePiece's unigram model, with its normalisation. `vocabulary` must outlive it.
/// Errors: file_malformed (scores that do not match the tokens or are not finite, a broken normalisation table).
[[nodiscard]] Expected<std::unique_ptr<FragmentEncoder>> make_unigram_encoder(const TokenizerSpec& spec,
                                                                              const Vocabulary& vocabulary,
                                                                              bool add_space_prefix);

/// BERT's WordPiece. `vocabulary` must outlive it. Errors: file_malformed (no token for unknown words).
[[nodiscard]] Expected<std::unique_ptr<FragmentEncoder>> make_word_piece_encoder(const TokenizerSpec& spec,
                                                                                 const Vocabulary& vocabulary);

}  // namespace troupe
