#pragma once
// The suffix automaton of a growing text: finds the longest end of a context that stands anywhere in the
// text, one token at a time [Blumer et al. 1985]. States are sets of substrings with the same ends.
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::speculation {

/// Threads: one owner. Cost: append and step O(1) amortised, some 70 bytes a token.
class SuffixAutomaton {
 public:
  SuffixAutomaton() : states_(1) {}

  /// Of a context that was stepped through: how much of its end stands in the text, and where.
  struct Match {
    std::uint32_t state = 0;
    std::uint32_t length = 0;
    std::uint32_t end =
        0;  ///< index in the text of the last token of an occurrence; of no meaning when length is 0
  };
  /// The match of the context that has one token more. It stays good while the text grows, but does not grow
  /// with it.
  [[nodiscard]] Match step(Match match, TokenId token) const;
  void append(TokenId token);
  [[nodiscard]] std::uint32_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr int kRefreshed = 4;  ///< states told of the latest occurrence: the most specific ones

  struct State {
    std::uint32_t link = kNone;
    std::uint32_t length = 0;  ///< of its longest substring
    std::uint32_t end = 0;     ///< of an occurrence
    std::uint32_t first_edge = kNone;
  };
  struct Edge {
    TokenId token = 0;
    std::uint32_t target = 0, next = kNone;
  };

  [[nodiscard]] std::uint32_t target(std::uint32_t state, TokenId token) const;
  void set_target(std::uint32_t state, TokenId token, std::uint32_t target);
  std::uint32_t split(std::uint32_t parent, std::uint32_t state, TokenId token);

  std::vector<State> states_;  ///< the first is of the empty substring
  std::vector<Edge> edges_;
  std::unordered_map<TokenId, std::uint32_t> root_;  ///< its edges: as many as there are different tokens
  std::uint32_t last_ = 0, size_ = 0;
};

}  // namespace troupe::speculation
