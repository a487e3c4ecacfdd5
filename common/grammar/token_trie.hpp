#pragma once
// A vocabulary arranged by the bytes of its tokens, so that one walk tells which tokens a text may go on
// with.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::grammar {

/// Nodes in preorder: a node's subtree is what lies between it and its end, its first child is the next node.
/// Node 0 is the empty text. Immutable; Threads: any.
class TokenTrie {
 public:
  /// `bytes` [V]: the text of each token; empty ones (special tokens) are never part of a text.
  /// Cost: sorts the vocabulary, about 20 ms for 49,152 tokens.
  explicit TokenTrie(std::vector<std::string> bytes);

  [[nodiscard]] std::uint32_t vocab() const { return static_cast<std::uint32_t>(bytes_.size()); }
  /// 64-bit words of a set of tokens, token t being bit t % 64 of word t / 64.
  [[nodiscard]] std::size_t mask_words() const { return (bytes_.size() + 63) / 64; }
  [[nodiscard]] std::string_view bytes(TokenId token) const {
    return bytes_[static_cast<std::size_t>(token)];
  }
  [[nodiscard]] std::uint32_t longest() const { return longest_; }  ///< bytes of a token

  /// `text` in tokens, about as tokenizers cut it: the longest that fits each time, but the last blank of
  /// several goes with what follows. Ends early where no token fits.
  [[nodiscard]] std::vector<TokenId> split(std::string_view text) const;

  [[nodiscard]] std::uint32_t nodes() const { return static_cast<std::uint32_t>(byte_.size()); }
  [[nodiscard]] std::uint8_t byte(std::uint32_t node) const { return byte_[node]; }
  [[nodiscard]] std::uint32_t end(std::uint32_t node) const { return end_[node]; }
  [[nodiscard]] std::uint32_t depth(std::uint32_t node) const { return depth_[node]; }
  [[nodiscard]] std::span<const TokenId> tokens(std::uint32_t node) const {
    return std::span(tokens_).subspan(token_begin_[node], token_begin_[node + 1] - token_begin_[node]);
  }

 private:
  std::vector<std::string> bytes_;
  std::uint32_t longest_ = 0;
  std::vector<std::uint8_t> byte_;
  std::vector<std::uint32_t> end_, depth_, token_begin_;
  std::vector<TokenId> tokens_;
};

}  // namespace troupe::grammar
