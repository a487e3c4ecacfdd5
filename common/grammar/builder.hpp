#pragma once
// Expressions, from which the parsers of schemas, regular expressions and GBNF build a grammar.
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/grammar/char_set.hpp"
#include "common/grammar/grammar.hpp"

namespace troupe::grammar {

using Expr = std::uint32_t;
using Rule = std::uint32_t;
inline constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

/// Owns expressions and rules of one grammar. An expression may be used many times; each use is a copy in the
/// tables, a rule is there once. Threads: one.
class Builder {
 public:
  enum class Op : std::uint8_t { nothing, empty, bytes, sequence, choice, repeat, call };
  struct Node {
    Op op = Op::empty;
    std::uint8_t first = 0, last = 0;   ///< bytes
    std::uint32_t least = 0, most = 0;  ///< repeat
    std::uint32_t begin = 0, end = 0;   ///< into parts(); of repeat and call the one part is `begin` itself
  };

  Builder();
  [[nodiscard]] Expr nothing() const { return 0; }  ///< matches no text at all
  [[nodiscard]] Expr empty() const { return 1; }    ///< matches the empty text
  [[nodiscard]] Expr byte_range(std::uint8_t first, std::uint8_t last);
  [[nodiscard]] Expr literal(std::string_view text);
  [[nodiscard]] Expr chars(const CharSet& set);
  [[nodiscard]] Expr sequence(std::vector<Expr> parts);
  [[nodiscard]] Expr choice(std::vector<Expr> parts);
  [[nodiscard]] Expr repeat(Expr part, std::uint32_t least, std::uint32_t most);
  [[nodiscard]] Expr optional(Expr part) { return choice({empty(), part}); }
  [[nodiscard]] Expr call(Rule rule);

  [[nodiscard]] Rule add_rule(std::string name);
  void define(Rule rule, Expr body) { rules_[rule].body = body; }
  /// A new rule with a body, as an expression.
  [[nodiscard]] Expr named(std::string name, Expr body);

  [[nodiscard]] std::size_t rules() const { return rules_.size(); }
  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }

  /// Errors: invalid_argument: too large, left recursion (names the rule), or no text matches.
  [[nodiscard]] Expected<std::shared_ptr<const Grammar>> finish(Rule root, const Limits& limits) const;

 private:
  friend class TableWriter;
  struct RuleBody {
    std::string name;
    Expr body = 0;
  };
  Expr add(Node node);
  Expr add_list(Op op, const std::vector<Expr>& parts);

  std::vector<Node> nodes_;
  std::vector<Expr> parts_;
  std::vector<RuleBody> rules_;
};

}  // namespace troupe::grammar
