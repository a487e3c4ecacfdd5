#pragma once
// Finds stop strings in text that arrives in pieces, and lets out only what cannot be the beginning of one.
// The result does not depend on where the pieces were cut: the stop string that is complete first ends the
// text; of several complete at the same byte the longest. One Knuth-Morris-Pratt automaton per stop string
// [Knuth, Morris, Pratt 1977].
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::gateway {

class StopMatcher {
 public:
  /// `keep`: the stop string itself is part of the text.
  explicit StopMatcher(std::vector<std::string> stops, bool keep = false);

  /// The text that may be shown now. After a match: what precedes the stop string, it too if it is kept, and
  /// from then on nothing. Cost: O(bytes x stops), amortised.
  [[nodiscard]] std::string push(std::string_view text);
  /// The text is over: what was held back.
  [[nodiscard]] std::string flush();
  [[nodiscard]] bool matched() const { return matched_; }
  /// The stop string that ended the text; empty: none did.
  [[nodiscard]] std::string_view matched_text() const;
  [[nodiscard]] std::size_t held_bytes() const { return held_.size(); }

 private:
  struct Automaton {
    std::string text;
    std::vector<std::uint32_t> fallback;  ///< [i]: longest proper border of the first i bytes
    std::uint32_t state = 0;              ///< bytes of `text` that the input so far ends with
  };
  void step(Automaton& automaton, char byte);

  std::vector<Automaton> automata_;
  std::string held_;
  std::size_t matched_automaton_ = 0;
  bool keep_;
  bool matched_ = false;
};

}  // namespace troupe::gateway
