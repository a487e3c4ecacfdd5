#pragma once
// Text to token ids and back, by the rules a GGUF file names: byte-level BPE with its pre-tokenizer, or
// SentencePiece (BPE by score, or unigram) with byte fallback, or WordPiece. Immutable after construction; Threads: any.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe {

/// Whether text like "<|im_end|>" inside the input may become the special token of that spelling.
enum class SpecialTokens : std::uint8_t { as_text, parse };

class Tokenizer {
 public:
  /// Reads `tokenizer.ggml.*`. Errors: file_malformed, file_unsupported (an unknown model or pre-tokenizer is
  /// named together with the known ones).
  [[nodiscard]] static Expected<std::shared_ptr<const Tokenizer>> from_gguf(const gguf::File& file);
  /// Reads the vocab.txt of a BERT. Errors: file_not_found, file_malformed.
  [[nodiscard]] static Expected<std::shared_ptr<const Tokenizer>> from_word_list(const std::filesystem::path& path);

  virtual ~Tokenizer() = default;
  /// `add_bos`: put the model's begin token first if the model wants one (its own flag decides), and its end
  /// token last if it wants that, as a few embedding models do. Errors: invalid_utf8 (names the byte offset),
  /// invalid_argument (over 256 MiB). Cost: linear in words, O(n log n) in the length of a word.
  [[nodiscard]] virtual Expected<std::vector<TokenId>> encode(std::string_view text, SpecialTokens special,
                                                              bool add_bos) const = 0;
  /// `text` with `mark` put into every spelling of a control token, after its first character: whole ones, and
  /// one that the end of the text cuts off. For a stranger's text on its way through a chat template: it stays
  /// text there, while the template's own markers become tokens. `text`: valid UTF-8; `mark`: a character that
  /// it lacks.
  [[nodiscard]] virtual std::string mark_control_spellings(std::string_view text,
                                                           std::string_view mark) const = 0;
  /// encode() with SpecialTokens::parse of a text that holds marks: they keep spellings apart and are then
  /// dropped. Errors: as encode.
  [[nodiscard]] virtual Expected<std::vector<TokenId>> encode_marked(std::string_view text,
                                                                     std::string_view mark,
                                                                     bool add_bos) const = 0;
  /// The bytes a token stands for; may end inside a UTF-8 character (see StreamDecoder). Special tokens give
  /// "" unless `show_special`.
  [[nodiscard]] virtual std::string token_bytes(TokenId token, bool show_special = false) const = 0;
  /// Valid UTF-8, the text that a StreamDecoder at the start of a text gives in parts.
  /// Errors: invalid_argument for a token outside the vocabulary.
  [[nodiscard]] virtual Expected<std::string> decode(std::span<const TokenId> tokens,
                                                     bool show_special = false) const = 0;

  [[nodiscard]] virtual std::size_t vocab_size() const = 0;
  [[nodiscard]] virtual TokenId bos() const = 0;  ///< -1: none
  [[nodiscard]] virtual TokenId eos() const = 0;  ///< -1: none
  /// Every token that ends generation (eos, eot, end-of-message ...).
  [[nodiscard]] virtual std::span<const TokenId> end_tokens() const = 0;
  [[nodiscard]] virtual bool is_special(TokenId token) const = 0;
  [[nodiscard]] virtual std::string_view token_text(
      TokenId token) const = 0;  ///< as spelled in the vocabulary
  [[nodiscard]] virtual std::string_view chat_template()
      const = 0;  ///< Jinja source from the file; empty: none
  /// Does the first piece of a text carry a space that is not of the text? (SentencePiece's prefix.)
  [[nodiscard]] virtual bool adds_space_prefix() const { return false; }
};

/// Token ids to text for a stream: holds back bytes until they complete a UTF-8 character, so every part is
/// valid UTF-8. A space prefix that SentencePiece adds to the first piece is dropped when the stream starts a
/// text; pass `starts_text = false` for the continuation of a raw prompt. Bytes that cannot become a
/// character give U+FFFD at once, a character cut off at the end gives one at flush. Tokens outside the
/// vocabulary give nothing. Threads: one at a time.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool show_special = false,
                         bool starts_text = true);
  /// The characters completed by this token (may be empty).
  [[nodiscard]] std::string push(TokenId token);
  /// What is left at the end, invalid bytes replaced.
  [[nodiscard]] std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;
  bool show_special_;
  bool first_ = true;
};

}  // namespace troupe
