#pragma once
// What every tokenizer knows of its tokens, whatever the algorithm: spelling, bytes, kind, and which ones end
// an answer.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/token_spec.hpp"

namespace troupe {

/// How a normal token's spelling stands for bytes.
enum class Spelling : std::uint8_t {
  byte_alphabet,  ///< GPT-2's printable alphabet
  space_mark,     ///< plain text with U+2581 for a space
};

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// Immutable. Threads: any.
class Vocabulary {
 public:
  /// Errors: file_malformed.
  static Expected<Vocabulary> make(const TokenizerSpec& spec, Spelling spelling);

  [[nodiscard]] std::size_t size() const { return kinds_.size(); }
  [[nodiscard]] bool contains(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }
  /// These take ids of the vocabulary only.
  [[nodiscard]] TokenKind kind(TokenId id) const { return kinds_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::string_view spelling(TokenId id) const { return spellings_.at(id); }
  [[nodiscard]] std::string_view bytes(TokenId id) const { return bytes_.at(id); }
  [[nodiscard]] bool is_special(TokenId id) const {
    return kind(id) == TokenKind::control || kind(id) == TokenKind::unknown;
  }
  /// May text become this token without the caller's leave, through the merge algorithm?
  [[nodiscard]] bool is_text(TokenId id) const { return kind(id) == TokenKind::normal; }
  [[nodiscard]] std::span<const TokenId> end_tokens() const { return end_tokens_; }
  /// The token for a byte that no other token covers; -1: none.
  [[nodiscard]] TokenId byte_token(char byte) const { return byte_tokens_[static_cast<unsigned char>(byte)]; }

 private:
  /// Strings of the vocabulary end to end.
  class Texts {
   public:
    void add(std::string_view text) {
      all_ += text;
      ends_.push_back(static_cast<std::uint32_t>(all_.size()));
    }
    [[nodiscard]] std::string_view at(TokenId id) const {
      const auto i = static_cast<std::size_t>(id);
      const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
      return std::string_view(all_).substr(begin, ends_[i] - begin);
    }

   private:
    std::string all_;
    std::vector<std::uint32_t> ends_;
  };

  void add_token(std::string_view text, TokenKind kind, Spelling spelling);
  void find_end_tokens(const TokenizerSpec& spec);

  Texts spellings_, bytes_;
  std::vector<TokenKind> kinds_;
  std::vector<TokenId> end_tokens_;
  std::array<TokenId, 256> byte_tokens_{};
};

}  // namespace troupe
