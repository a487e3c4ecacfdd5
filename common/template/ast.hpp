#pragma once
// The parsed template.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/template/value.hpp"

namespace troupe::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star, star_star;
};

enum class Operator : std::uint8_t { add, sub, mul, div, floordiv, mod, pow, eq, ne, lt, le, gt, ge, in, not_in };

enum class ExpressionKind : std::uint8_t {
  constant,     // constant
  name,         // name
  list, tuple,  // kids
  dict,         // kids: key, value, key, value, ...
  attribute,    // kids[0].name
  item,         // kids[0][kids[1]]
  slice,        // kids: start, stop, step, each may be null; only as the second kid of an item
  call,         // kids[0](arguments)
  filter,       // kids[0] | name(arguments); kids[0] is null in a filter block
  test,         // kids[0] is name(arguments)
  negative, positive, negation,  // kids[0]
  arithmetic,   // kids[0] operators[0] kids[1] operators[1] kids[2] ..., from the left
  concat,       // kids joined
  compare,      // kids[0] operators[0] kids[1] and kids[1] operators[1] kids[2] ...
  all, any,     // kids
  conditional,  // kids: test, then, otherwise (may be null)
};

struct Expression {
  ExpressionKind kind = ExpressionKind::constant;
  int line = 0;
  std::size_t depth = 1;  ///< of this tree; bounded by the parser
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> kids;
  std::vector<Operator> operators;
  CallArguments arguments;
};

/// Where an assignment goes: a name, an attribute of a namespace (`name`.`attribute`), or several targets (then `name` is empty).
struct Target {
  int line = 0;
  std::string name, attribute;
  std::vector<Target> parts;
};

struct Statement;
using Body = std::vector<Statement>;

struct Signature {
  std::vector<std::string> names;
  std::vector<ExpressionPtr> defaults;  ///< of the last names
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

enum class StatementKind : std::uint8_t {
  data,          // name is the text
  output,        // expressions, printed in turn
  branch,        // expressions: the tests; bodies: one for each, and maybe the else
  loop,          // target, expressions: iterable, filter (may be null); bodies: body, else; recursive
  assign,        // target, expressions[0]
  assign_block,  // target, expressions[0]: filter (may be null), bodies[0]
  macro,         // name, signature, bodies[0]
  call_block,    // signature, expressions[0] is a call, bodies[0]
  filter_block,  // expressions[0] is a filter, bodies[0]
  with,          // targets.parts, expressions, bodies[0]
  scope,         // bodies[0]: a generation block
  stop, proceed, // break, continue
};

struct Statement {
  StatementKind kind = StatementKind::data;
  int line = 0;
  bool recursive = false;
  std::string name;
  Target target;
  Signature signature;
  std::vector<ExpressionPtr> expressions;
  std::vector<Body> bodies;
};

/// A fault in the template or met while running it. Thrown inside this folder only; chat_template.cpp turns it into an Error.
struct Fault {
  int line = 0;
  std::string reason;
};

}  // namespace troupe::jinja
