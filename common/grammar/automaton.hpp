#pragma once
// A grammar over a vocabulary, determinised as far as texts have gone: a state is the set of places where the
// rules may stand. Steps between states are kept, and so are the tokens that each state allows.
//
// Masks, as XGrammar [Dong et al. 2024, arXiv:2411.15100, section 3.1] has them: whether a token is allowed
// mostly depends on the innermost rule alone. Those tokens are worked out once per place in a rule, whatever
// called it; what is left are the tokens that go on beyond the rule's end, tried from the caller's place.
// Departs from it in walking the vocabulary as a trie and in keeping whole masks per state too.
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/grammar/grammar.hpp"
#include "common/grammar/token_trie.hpp"

namespace troupe::grammar {

struct AutomatonLimits {
  std::uint32_t states = 1u << 15;  ///< kept; beyond them everything is forgotten at the next renew()
  std::uint32_t places = 256;  ///< of one state: further ways to read a text are not followed, see mask()
  std::uint32_t frames = 256;  ///< calls within calls: what would go deeper is not allowed
  std::size_t mask_bytes = 16u << 20;  ///< of kept masks
};

/// Threads: one at a time. Costs: step() is a table look-up once it was taken before; mask() likewise, and
/// the first time about 10 us when the rule is known, under a millisecond when it is not (49,152 tokens).
class Automaton {
 public:
  using State = std::uint32_t;
  static constexpr State kDead = 0;

  Automaton(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> vocabulary,
            const AutomatonLimits& limits = {});

  [[nodiscard]] const TokenTrie& vocabulary() const { return *vocabulary_; }
  [[nodiscard]] State start() const { return start_; }
  [[nodiscard]] State step(State from, std::uint8_t byte) {
    return step_class(from, grammar_->class_of(byte));
  }
  /// The text so far is whole.
  [[nodiscard]] bool ends(State state) const { return nodes_[state].ends; }
  /// No byte may follow.
  [[nodiscard]] bool closed(State state) const { return nodes_[state].places.empty(); }
  enum class WhiteSpace { counts, aside };
  /// The one byte that may follow, where there is just one (beside white space, if that is left aside) and
  /// the text is not whole; else -1.
  [[nodiscard]] int only_byte(State state, WhiteSpace space = WhiteSpace::counts);
  /// Allowed tokens, TokenTrie::mask_words() words; until the next call of a method that is not const.
  /// Exactly those that step() can read, but for texts with more places than are followed: there some more
  /// may be in it.
  [[nodiscard]] std::span<const std::uint64_t> mask(State state);
  /// Forgets all but the start when too much is kept; states from before are void then. true: it did.
  bool renew();
  /// Rises with every renewal.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] std::size_t states() const { return nodes_.size(); }

 private:
  using Stack = std::uint32_t;
  static constexpr Stack kBottom = 0;   ///< of the whole text
  static constexpr Stack kUnknown = 1;  ///< of a rule looked at by itself: whoever called it
  static constexpr State kUntaken = 0xFFFFFFFF;
  struct Frame {
    RuleState after = 0;
    Stack below = kBottom;
    std::uint32_t depth = 0;
    bool operator==(const Frame&) const = default;
  };
  struct Place {
    Stack stack = kBottom;
    RuleState at = 0;
    bool operator==(const Place&) const = default;
  };
  struct Node {
    /// Only those with bytes to read, as the rules lead to them: which ones are followed where they are too
    /// many depends on the text alone.
    std::vector<Place> places;
    bool ends = false;        ///< the text may end here
    bool leaves = false;      ///< the rule that was looked at by itself may end here
    std::vector<State> next;  ///< [class]; empty until the first step
  };
  /// What the innermost rule alone says of tokens.
  struct RuleMask {
    std::vector<std::uint64_t> allowed;
    std::vector<std::uint32_t> leaving;  ///< trie nodes whose text may end the rule, and which have children
  };
  struct NodeHash {
    const std::vector<Node>* nodes;
    std::size_t operator()(State state) const;
  };
  struct NodeEqual {
    const std::vector<Node>* nodes;
    bool operator()(State a, State b) const;
  };
  struct FrameHash {
    std::size_t operator()(const Frame& frame) const;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const;
  };

  void reset();
  [[nodiscard]] State step_class(State from, std::uint32_t byte_class);
  [[nodiscard]] Stack push(RuleState after, Stack below);
  void reach(Place place);
  [[nodiscard]] State take_reached();
  [[nodiscard]] State intern(Node node);
  [[nodiscard]] State usual(State state);
  [[nodiscard]] RuleState usual_count(RuleState state) const;
  [[nodiscard]] const RuleMask& rule_mask(std::span<const Place> group);
  [[nodiscard]] std::vector<std::uint64_t> make_mask(State state);
  template <class Visit>
  void walk(State from, std::uint32_t below, const Visit& visit);

  const std::shared_ptr<const Grammar> grammar_;
  const std::shared_ptr<const TokenTrie> vocabulary_;
  const AutomatonLimits limits_;
  State start_ = kDead;
  std::uint64_t generation_ = 0;
  std::vector<Node> nodes_;
  std::unordered_set<State, NodeHash, NodeEqual> known_;
  std::vector<Frame> frames_;
  std::unordered_map<Frame, Stack, FrameHash> stack_of_;
  std::unordered_map<State, std::vector<std::uint64_t>> masks_;
  std::unordered_map<State, RuleMask> rule_masks_;
  std::size_t mask_bytes_ = 0;
  std::unordered_set<Place, PlaceHash> seen_;  // of the state being made
  std::vector<Place> todo_;
  Node reached_;
  std::vector<State> path_;  // of walk(): the state at each depth
};

}  // namespace troupe::grammar
