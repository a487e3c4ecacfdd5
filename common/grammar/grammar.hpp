#pragma once
// A compiled grammar: rules as nondeterministic automata over bytes that call each other, a pushdown
// automaton in flat tables. Immutable; Threads: any.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/grammar/source.hpp"

namespace troupe::grammar {

/// A state of a rule's automaton, unique in its grammar.
using RuleState = std::uint32_t;

/// Bounds of what a source may become; beyond them it is refused.
struct Limits {
  std::size_t source_bytes = kMostSourceBytes;
  std::uint32_t rules = 8192;
  std::uint32_t states = 1u << 18;
  std::uint32_t nesting = 64;  ///< of brackets, groups, subschemas
};

class Grammar {
 public:
  struct ByteEdge {
    std::uint8_t first = 0, last = 0;  ///< byte classes
    RuleState target = 0;
  };
  struct Call {
    RuleState start = 0;  ///< of the called rule
    RuleState after = 0;  ///< where its caller goes on
    bool last = false;    ///< nothing but the caller's own end follows: no frame is needed (tail call)
  };
  /// A repetition of a rule up to `most` times, state by state: `first` + i has seen i of them.
  struct Counted {
    RuleState first = 0;
    std::uint32_t least = 0, most = 0;
  };

  [[nodiscard]] RuleState start() const { return start_; }
  [[nodiscard]] std::uint32_t states() const { return static_cast<std::uint32_t>(flags_.size()); }
  /// Bytes that no rule tells apart are of one class.
  [[nodiscard]] std::uint32_t classes() const { return static_cast<std::uint32_t>(class_bytes_.size()); }
  [[nodiscard]] std::uint8_t class_of(std::uint8_t byte) const { return class_of_[byte]; }
  /// How many bytes are of a class, and the first of them.
  [[nodiscard]] std::uint32_t class_size(std::uint32_t c) const { return class_bytes_[c].second; }
  [[nodiscard]] std::uint8_t class_byte(std::uint32_t c) const { return class_bytes_[c].first; }
  [[nodiscard]] std::span<const ByteEdge> bytes(RuleState s) const {
    return part(byte_edges_, byte_begin_, s);
  }
  [[nodiscard]] std::span<const RuleState> jumps(RuleState s) const { return part(jumps_, jump_begin_, s); }
  [[nodiscard]] std::span<const Call> calls(RuleState s) const { return part(calls_, call_begin_, s); }
  [[nodiscard]] bool ends(RuleState s) const { return (flags_[s] & 1u) != 0; }
  /// The counted repetition that a state stands in; null: none.
  [[nodiscard]] const Counted* counted(RuleState s) const;

 private:
  friend class TableWriter;
  template <class T>
  static std::span<const T> part(const std::vector<T>& all, const std::vector<std::uint32_t>& begin,
                                 RuleState s) {
    return std::span(all).subspan(begin[s], begin[s + 1] - begin[s]);
  }

  RuleState start_ = 0;
  std::array<std::uint8_t, 256> class_of_{};
  std::vector<std::pair<std::uint8_t, std::uint32_t>> class_bytes_;
  std::vector<ByteEdge> byte_edges_;
  std::vector<RuleState> jumps_;
  std::vector<Call> calls_;
  std::vector<std::uint32_t> byte_begin_, jump_begin_, call_begin_;
  std::vector<std::uint8_t> flags_;
  std::vector<Counted> counted_;  // by first state
};

/// Errors: invalid_argument; the detail names what is not supported, by JSON pointer, rule or offset.
/// Cost: linear in the source and in what it unfolds to; bounded by `limits`.
[[nodiscard]] Expected<std::shared_ptr<const Grammar>> compile(const Source& source,
                                                               const Limits& limits = {});

/// OpenAI's rules for `strict`: every object closes additionalProperties and requires all its properties.
/// Errors: invalid_argument naming the place.
[[nodiscard]] Expected<void> check_strict(std::string_view schema);

}  // namespace troupe::grammar
