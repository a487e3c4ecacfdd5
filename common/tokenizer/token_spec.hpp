#pragma once
// A vocabulary as its file states it, before anything is built from it. Tests and fuzzing write one by hand;
// token_spec.cpp reads one from GGUF.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/gguf/gguf.hpp"
#include "common/tokenizer/tokenizer.hpp"

namespace troupe {

/// As numbered in `tokenizer.ggml.token_type`.
enum class TokenKind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

/// The views must outlive make_tokenizer() only.
struct TokenizerSpec {
  std::string
      model;        ///< "gpt2" (byte-level BPE), "gemma4" (BPE over characters), "llama" (SentencePiece BPE),
                    ///< "t5" (SentencePiece unigram), "bert" (WordPiece)
  std::string pre;  ///< name of the pre-tokenizer; empty: "default"
  std::string file_name;  ///< general.name: some families strip space around their special tokens
  std::vector<std::string_view> tokens;
  std::vector<TokenKind> kinds;          ///< empty: all normal
  std::vector<float> scores;             ///< "llama" and "t5"
  std::vector<std::string_view> merges;  ///< BPE only: "left right", the first is the strongest
  TokenId bos = -1, eos = -1, eot = -1, eom = -1, unknown = -1;
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
  std::optional<bool> lowercase;  ///< "bert": case and accents mean nothing; none: so it is where no token has a capital
  std::string charsmap;  ///< "t5": SentencePiece's precompiled normalisation
  std::string chat_template;
};

/// Reads `tokenizer.ggml.*`, `tokenizer.chat_template` and `general.name`. The views point into `file`.
/// Errors: file_malformed names key, found and expected.
[[nodiscard]] Expected<TokenizerSpec> read_token_spec(const gguf::File& file);

/// Errors: file_malformed (sizes that disagree, ids outside the vocabulary), file_unsupported (names the
/// known ones).
[[nodiscard]] Expected<std::shared_ptr<const Tokenizer>> make_tokenizer(const TokenizerSpec& spec);

}  // namespace troupe
