#pragma once
// One answer under a grammar: where its text stands, what may follow. A copy is a fork: it costs a few bytes
// a token.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/grammar/automaton.hpp"

namespace troupe::grammar {

/// Threads: one at a time, together with all other matchers of the automaton.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<Automaton> automaton);

  /// Takes a token of the answer. false: the grammar does not allow it here, and nothing has changed.
  [[nodiscard]] bool accept(TokenId token);
  /// Takes back the last `count` tokens, at most all.
  void rollback(std::size_t count);
  [[nodiscard]] std::size_t tokens() const { return tokens_.size(); }
  /// Tokens that may follow (Automaton::mask); end tokens are not among them, see may_end().
  [[nodiscard]] std::span<const std::uint64_t> mask();
  /// The answer is whole: it may end here.
  [[nodiscard]] bool may_end();
  /// It is whole and nothing may follow.
  [[nodiscard]] bool complete();
  /// The bytes that must follow, at most `most`: no other text goes on from here.
  [[nodiscard]] std::string forced(std::size_t most = 256);
  /// Tokens of the text that is to be expected: what must follow, and where nothing but white space may
  /// stand before it, white space as the answer has it elsewhere. Empty where the answer has a choice.
  [[nodiscard]] std::vector<TokenId> expected(std::size_t most);

 private:
  [[nodiscard]] Automaton::State state();
  [[nodiscard]] std::string usual_space() const;

  std::shared_ptr<Automaton> automaton_;  // shared by the answers of one grammar
  std::uint64_t generation_;
  std::vector<TokenId> tokens_;
  std::vector<Automaton::State> states_;  // after each token; the start's before them
};

}  // namespace troupe::grammar
