#pragma once
// From expressions to tables: states by Thompson's construction, then only those kept that a text can go
// through.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/grammar/builder.hpp"

namespace troupe::grammar {

/// One use each. Threads: one.
class TableWriter {
 public:
  TableWriter(const Builder& builder, const Limits& limits) : builder_(builder), limits_(limits) {}
  /// Errors: as Builder::finish.
  [[nodiscard]] Expected<std::shared_ptr<const Grammar>> write(Rule root);

 private:
  struct Edge {
    RuleState from, to;
    std::uint8_t first, last;
  };
  struct Jump {
    RuleState from, to;
  };
  struct CallEdge {
    RuleState from, after;
    Rule rule;
  };

  RuleState add_state();
  [[nodiscard]] bool full() const {
    return states_ >= limits_.states || work_ > std::uint64_t{limits_.states} * 8;
  }
  void emit(Expr expr, RuleState from, RuleState to, std::uint32_t depth);
  void emit_repeat(const Builder::Node& node, RuleState from, RuleState to, std::uint32_t depth);
  /// Which states reach their rule's end; `with_bytes` false: without reading a byte.
  [[nodiscard]] std::vector<bool> reaching(bool with_bytes) const;
  [[nodiscard]] Expected<void> refuse_left_recursion() const;
  [[nodiscard]] std::vector<bool> pure_ends() const;
  void write_classes(Grammar& out, const std::vector<Edge>& edges) const;

  const Builder& builder_;
  const Limits& limits_;
  std::uint32_t states_ = 0;
  std::uint64_t work_ = 0;  ///< expressions unfolded: bounds what adds no state
  bool too_deep_ = false;
  std::vector<RuleState> start_, end_;  ///< [rule]
  std::vector<Edge> edges_;
  std::vector<Jump> jumps_;
  std::vector<CallEdge> calls_;
  std::vector<Grammar::Counted> counted_;
};

}  // namespace troupe::grammar
