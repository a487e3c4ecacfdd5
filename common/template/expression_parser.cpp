// The expressions of the grammar, one function for each level of precedence. Chains of one level become one flat node, so that a long sum is not
// a deep tree.
#include <algorithm>
#include <array>

#include "common/template/filters.hpp"
#include "common/template/parser.hpp"
#include "common/template/tests.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {

ExpressionPtr Parser::make(ExpressionKind kind, int line) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  return expression;
}

void Parser::add_kid(Expression& parent, ExpressionPtr kid) {
  if (kid) parent.depth = std::max(parent.depth, kid->depth + 1);
  if (parent.depth > max_depth_) fail(say({"an expression is nested deeper than ", std::to_string(max_depth_)}));
  parent.kids.push_back(std::move(kid));
}

ExpressionPtr Parser::wrap(ExpressionKind kind, int line, ExpressionPtr kid) {
  auto expression = make(kind, line);
  add_kid(*expression, std::move(kid));
  return expression;
}

void Parser::add_arguments(Expression& parent, CallArguments arguments) {
  const auto count = [&](const ExpressionPtr& kid) {
    if (kid) parent.depth = std::max(parent.depth, kid->depth + 1);
  };
  for (const auto& kid : arguments.positional) count(kid);
  for (const auto& [name, kid] : arguments.named) count(kid);
  count(arguments.star);
  count(arguments.star_star);
  if (parent.depth > max_depth_) fail(say({"an expression is nested deeper than ", std::to_string(max_depth_)}));
  parent.arguments = std::move(arguments);
}

bool Parser::tuple_ends(std::string_view end) const {
  return now().kind == TokenKind::print_end || now().kind == TokenKind::block_end || at_symbol(")") || (!end.empty() && at_name(end));
}

ExpressionPtr Parser::parse_tuple(Condition condition, std::string_view end, bool parenthesized) {
  auto tuple = make(ExpressionKind::tuple, now().line);
  bool several = false;
  while (!tuple_ends(end)) {
    add_kid(*tuple, parse_expression(condition));
    if (!at_symbol(",")) break;
    several = true;
    take();
  }
  if (several) return tuple;
  if (tuple->kids.empty()) {
    if (!parenthesized) fail(say({"expected an expression, found ", found()}));
    return tuple;
  }
  return std::move(tuple->kids.front());
}

ExpressionPtr Parser::parse_expression(Condition condition) {
  const Deeper deeper(*this);
  if (condition == Condition::refused) return parse_any();
  const int line = now().line;
  const std::size_t unknown = unknown_.size();
  auto expression = parse_any();
  if (!at_name("if")) return expression;
  while (skip_name("if")) {
    auto node = wrap(ExpressionKind::conditional, line, parse_any());
    add_kid(*node, std::move(expression));
    add_kid(*node, skip_name("else") ? parse_expression() : nullptr);
    expression = std::move(node);
  }
  unknown_.resize(unknown);  // within a condition they matter only when reached
  return expression;
}

void Parser::note_unknown(std::string_view what, const std::string& name) {
  if (!lenient_) unknown_.push_back({now().line, say({"no ", what, " is named '", name, "'"})});
}

ExpressionPtr Parser::parse_any() {
  auto first = parse_all();
  if (!at_name("or")) return first;
  auto node = wrap(ExpressionKind::any, now().line, std::move(first));
  while (skip_name("or")) add_kid(*node, parse_all());
  return node;
}

ExpressionPtr Parser::parse_all() {
  auto first = parse_negation();
  if (!at_name("and")) return first;
  auto node = wrap(ExpressionKind::all, now().line, std::move(first));
  while (skip_name("and")) add_kid(*node, parse_negation());
  return node;
}

ExpressionPtr Parser::parse_negation() {
  if (!at_name("not")) return parse_compare();
  const Deeper deeper(*this);
  const int line = take().line;
  return wrap(ExpressionKind::negation, line, parse_negation());
}

ExpressionPtr Parser::parse_compare() {
  static constexpr std::array<std::pair<std::string_view, Operator>, 6> kSymbols = {{{"==", Operator::eq}, {"!=", Operator::ne},
      {"<", Operator::lt}, {"<=", Operator::le}, {">", Operator::gt}, {">=", Operator::ge}}};
  auto first = parse_sum();
  ExpressionPtr node;
  while (true) {
    const auto* const symbol = std::find_if(kSymbols.begin(), kSymbols.end(), [&](const auto& row) { return at_symbol(row.first); });
    const bool not_in = at_name("not") && look().kind == TokenKind::name && look().text == "in";
    if (symbol == kSymbols.end() && !not_in && !at_name("in")) break;
    if (!node) node = wrap(ExpressionKind::compare, now().line, std::move(first));
    node->operators.push_back(symbol != kSymbols.end() ? symbol->second : not_in ? Operator::not_in : Operator::in);
    take();
    if (not_in) take();
    add_kid(*node, parse_sum());
  }
  return node ? std::move(node) : std::move(first);
}

ExpressionPtr Parser::parse_sum() {
  auto first = parse_concat();
  if (!at_symbol("+") && !at_symbol("-")) return first;
  auto node = wrap(ExpressionKind::arithmetic, now().line, std::move(first));
  while (at_symbol("+") || at_symbol("-")) {
    node->operators.push_back(take().text == "+" ? Operator::add : Operator::sub);
    add_kid(*node, parse_concat());
  }
  return node;
}

ExpressionPtr Parser::parse_concat() {
  auto first = parse_product();
  if (!at_symbol("~")) return first;
  auto node = wrap(ExpressionKind::concat, now().line, std::move(first));
  while (skip_symbol("~")) add_kid(*node, parse_product());
  return node;
}

ExpressionPtr Parser::parse_product() {
  auto first = parse_power();
  ExpressionPtr node;
  while (at_symbol("*") || at_symbol("/") || at_symbol("//") || at_symbol("%")) {
    if (!node) node = wrap(ExpressionKind::arithmetic, now().line, std::move(first));
    const std::string& symbol = take().text;
    node->operators.push_back(symbol == "*" ? Operator::mul : symbol == "/" ? Operator::div : symbol == "//" ? Operator::floordiv : Operator::mod);
    add_kid(*node, parse_power());
  }
  return node ? std::move(node) : std::move(first);
}

ExpressionPtr Parser::parse_power() {
  auto first = parse_unary();
  if (!at_symbol("**")) return first;
  auto node = wrap(ExpressionKind::arithmetic, now().line, std::move(first));
  while (skip_symbol("**")) {
    node->operators.push_back(Operator::pow);
    add_kid(*node, parse_unary());
  }
  return node;
}

ExpressionPtr Parser::parse_unary(bool with_filter) {
  const Deeper deeper(*this);
  ExpressionPtr node;
  if (at_symbol("-") || at_symbol("+")) {
    const Token& sign = take();
    node = wrap(sign.text == "-" ? ExpressionKind::negative : ExpressionKind::positive, sign.line, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  while (with_filter) {
    if (at_symbol("|")) {
      node = parse_filters(std::move(node), false);
    } else if (at_name("is")) {
      node = parse_test(std::move(node));
    } else if (at_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr Parser::parse_primary() {
  const Token& token = now();
  if (token.kind == TokenKind::name) return parse_name();
  if (token.kind == TokenKind::integer || token.kind == TokenKind::real) return parse_number();
  if (token.kind == TokenKind::text) {
    auto node = make(ExpressionKind::constant, token.line);
    std::string joined;
    while (now().kind == TokenKind::text) joined += take().text;
    node->constant = Value(std::make_shared<const Text>(Text{std::move(joined), false}));
    return node;
  }
  if (skip_symbol("(")) {
    auto node = parse_tuple(Condition::allowed, {}, true);
    expect_symbol(")");
    return node;
  }
  if (at_symbol("[")) return parse_list();
  if (at_symbol("{")) return parse_dict();
  fail(say({"unexpected ", found()}));
}

ExpressionPtr Parser::parse_name() {
  const Token& token = take();
  auto node = make(ExpressionKind::constant, token.line);
  if (token.text == "true" || token.text == "True" || token.text == "false" || token.text == "False") {
    node->constant = Value(token.text == "true" || token.text == "True");
  } else if (token.text == "none" || token.text == "None") {
    node->constant = Value(None{});
  } else {
    node->kind = ExpressionKind::name;
    node->name = token.text;
    for (Signature* const function : functions_) {
      function->uses_caller = function->uses_caller || token.text == "caller";
      function->uses_varargs = function->uses_varargs || token.text == "varargs";
      function->uses_kwargs = function->uses_kwargs || token.text == "kwargs";
    }
  }
  return node;
}

ExpressionPtr Parser::parse_number() {
  const Token& token = now();
  auto node = make(ExpressionKind::constant, token.line);
  if (token.kind == TokenKind::integer) {
    const auto value = parse_integer(token.text, 0);
    if (!value) fail(say({"'", token.text.substr(0, 40), "' is no number of 64 bits"}));
    node->constant = Value(*value);
  } else {
    const auto value = parse_float(token.text);
    if (!value) fail(say({"'", token.text.substr(0, 40), "' is no number"}));
    node->constant = Value(*value);
  }
  take();
  return node;
}

ExpressionPtr Parser::parse_list() {
  auto node = make(ExpressionKind::list, take().line);
  while (!at_symbol("]")) {
    if (!node->kids.empty()) expect_symbol(",");
    if (at_symbol("]")) break;
    add_kid(*node, parse_expression());
  }
  expect_symbol("]");
  return node;
}

ExpressionPtr Parser::parse_dict() {
  auto node = make(ExpressionKind::dict, take().line);
  while (!at_symbol("}")) {
    if (!node->kids.empty()) expect_symbol(",");
    if (at_symbol("}")) break;
    add_kid(*node, parse_expression());
    expect_symbol(":");
    add_kid(*node, parse_expression());
  }
  expect_symbol("}");
  return node;
}

ExpressionPtr Parser::parse_postfix(ExpressionPtr expression) {
  while (true) {
    if (at_symbol(".") || at_symbol("[")) {
      expression = parse_subscript(std::move(expression));
    } else if (at_symbol("(")) {
      expression = parse_call(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr expression) {
  const int line = now().line;
  if (skip_symbol(".")) {
    if (now().kind == TokenKind::name) {
      auto node = wrap(ExpressionKind::attribute, line, std::move(expression));
      node->name = take().text;
      return node;
    }
    if (now().kind != TokenKind::integer) fail(say({"expected a name or a number, found ", found()}));
    auto node = wrap(ExpressionKind::item, line, std::move(expression));
    add_kid(*node, parse_number());
    return node;
  }
  expect_symbol("[");
  auto node = wrap(ExpressionKind::item, line, std::move(expression));
  auto indexes = make(ExpressionKind::tuple, line);
  while (!at_symbol("]")) {
    if (!indexes->kids.empty()) expect_symbol(",");
    add_kid(*indexes, parse_index());
  }
  expect_symbol("]");
  add_kid(*node, indexes->kids.size() == 1 ? std::move(indexes->kids.front()) : std::move(indexes));
  return node;
}

ExpressionPtr Parser::parse_index() {
  const int line = now().line;
  ExpressionPtr start;
  if (!at_symbol(":")) {
    start = parse_expression();
    if (!at_symbol(":")) return start;
  }
  take();
  const auto part = [&]() -> ExpressionPtr {
    return at_symbol(":") || at_symbol("]") || at_symbol(",") ? nullptr : parse_expression();
  };
  auto node = wrap(ExpressionKind::slice, line, std::move(start));
  add_kid(*node, part());
  add_kid(*node, skip_symbol(":") ? part() : nullptr);
  return node;
}

std::string Parser::parse_dotted() {
  std::string name = expect_name();
  while (skip_symbol(".")) name += say({".", expect_name()});
  return name;
}

ExpressionPtr Parser::parse_filters(ExpressionPtr expression, bool starts_inline) {
  while (starts_inline || skip_symbol("|")) {
    starts_inline = false;
    auto node = wrap(ExpressionKind::filter, now().line, std::move(expression));
    node->name = parse_dotted();
    if (find_filter(node->name) == nullptr) note_unknown("filter", node->name);
    if (at_symbol("(")) add_arguments(*node, parse_arguments());
    expression = std::move(node);
  }
  return expression;
}

ExpressionPtr Parser::parse_test(ExpressionPtr expression) {
  const int line = take().line;
  const bool negated = skip_name("not");
  auto node = wrap(ExpressionKind::test, line, std::move(expression));
  node->name = parse_dotted();
  if (find_test(node->name) == nullptr) note_unknown("test", node->name);
  const bool operand = now().kind == TokenKind::text || now().kind == TokenKind::integer || now().kind == TokenKind::real || at_symbol("[") ||
                       at_symbol("{") || (now().kind == TokenKind::name && !at_name("else") && !at_name("or") && !at_name("and"));
  if (at_symbol("(")) {
    add_arguments(*node, parse_arguments());
  } else if (operand) {
    if (at_name("is")) fail("tests with 'is' cannot be chained");
    CallArguments arguments;
    arguments.positional.push_back(parse_postfix(parse_primary()));
    add_arguments(*node, std::move(arguments));
  }
  return negated ? wrap(ExpressionKind::negation, line, std::move(node)) : std::move(node);
}

ExpressionPtr Parser::parse_call(ExpressionPtr expression) {
  auto node = wrap(ExpressionKind::call, now().line, std::move(expression));
  add_arguments(*node, parse_arguments());
  return node;
}

CallArguments Parser::parse_arguments() {
  CallArguments arguments;
  const auto ensure = [&](bool fine) {
    if (!fine) fail("invalid syntax for function call expression");
  };
  expect_symbol("(");
  bool comma = false;
  while (!at_symbol(")")) {
    if (comma) expect_symbol(",");
    if (at_symbol(")")) break;
    comma = true;
    if (skip_symbol("*")) {
      ensure(!arguments.star && !arguments.star_star);
      arguments.star = parse_expression();
    } else if (skip_symbol("**")) {
      ensure(!arguments.star_star);
      arguments.star_star = parse_expression();
    } else if (now().kind == TokenKind::name && look().kind == TokenKind::symbol && look().text == "=") {
      ensure(!arguments.star_star);
      std::string name = take().text;
      take();
      const bool twice = std::any_of(arguments.named.begin(), arguments.named.end(), [&](const auto& row) { return row.first == name; });
      if (twice) fail(say({"keyword argument repeated: ", name}));
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!arguments.star && !arguments.star_star && arguments.named.empty());
      arguments.positional.push_back(parse_expression());
    }
  }
  expect_symbol(")");
  return arguments;
}

}  // namespace troupe::jinja
