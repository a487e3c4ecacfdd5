#include "common/template/parser.hpp"

#include <algorithm>

#include "common/template/text.hpp"

namespace troupe::jinja {

namespace {

bool names_loop(const Target& target) {
  return target.name == "loop" || std::any_of(target.parts.begin(), target.parts.end(), names_loop);
}

}  // namespace

const Token& Parser::take() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::skip_symbol(std::string_view symbol) {
  const bool there = at_symbol(symbol);
  if (there) take();
  return there;
}

bool Parser::skip_name(std::string_view name) {
  const bool there = at_name(name);
  if (there) take();
  return there;
}

void Parser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) fail(say({"expected '", symbol, "', found ", found()}));
}

std::string Parser::expect_name() {
  if (now().kind != TokenKind::name) fail(say({"expected a name, found ", found()}));
  return take().text;
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (now().kind != kind) fail(say({"expected ", what, ", found ", found()}));
  take();
}

void Parser::fail(std::string reason) const { throw Fault{now().line, std::move(reason)}; }

std::string Parser::found() const {
  switch (now().kind) {
    case TokenKind::end: return "the end of the template";
    case TokenKind::print_end: return "the end of the print statement";
    case TokenKind::block_end: return "the end of the block tag";
    default: return say({"'", now().text.substr(0, 40), "'"});
  }
}

Body Parser::parse() {
  Body body = parse_body({});
  if (now().kind != TokenKind::end) fail(say({"unexpected ", found()}));
  if (!unknown_.empty()) throw unknown_.front();
  return body;
}

Body Parser::parse_body(const std::vector<std::string_view>& ends) {
  const Deeper deeper(*this);
  Body body;
  while (now().kind != TokenKind::end) {
    Statement statement;
    statement.line = now().line;
    if (now().kind == TokenKind::data) {
      statement.name = take().text;
      body.push_back(std::move(statement));
    } else if (now().kind == TokenKind::print_begin) {
      take();
      statement.kind = StatementKind::output;
      statement.expressions.push_back(parse_tuple());
      expect(TokenKind::print_end, "the end of the print statement");
      body.push_back(std::move(statement));
    } else {
      expect(TokenKind::block_begin, "a tag");
      if (now().kind == TokenKind::name && std::find(ends.begin(), ends.end(), now().text) != ends.end()) return body;
      body.push_back(parse_statement());
      expect(TokenKind::block_end, "the end of the block tag");
    }
  }
  if (!ends.empty()) fail(say({"the template ends where '", ends.back(), "' was expected"}));
  return body;
}

Body Parser::parse_block_body(const std::vector<std::string_view>& ends) {
  skip_symbol(":");
  expect(TokenKind::block_end, "the end of the block tag");
  return parse_body(ends);
}

Body Parser::parse_last_body(std::string_view end) {
  Body body = parse_block_body({end});
  take();
  return body;
}

Body Parser::parse_function_body(std::string_view end, Signature& signature) {
  const std::size_t loops = std::exchange(loops_, 0);
  const bool lenient = std::exchange(lenient_, false);
  functions_.push_back(&signature);
  Body body = parse_last_body(end);
  functions_.pop_back();
  loops_ = loops;
  lenient_ = lenient;
  return body;
}

Statement Parser::parse_statement() {
  if (now().kind != TokenKind::name) fail(say({"expected the name of a tag, found ", found()}));
  const Token& tag = now();
  if (tag.text == "if") return parse_if();
  if (tag.text == "for") return parse_for();
  if (tag.text == "set") return parse_set();
  if (tag.text == "macro") return parse_macro();
  if (tag.text == "call") return parse_call_block();
  if (tag.text == "filter") return parse_filter_block();
  if (tag.text == "with") return parse_with();
  if (tag.text == "generation") return parse_generation();
  if (tag.text == "print") return parse_print();
  if (tag.text == "break" || tag.text == "continue") return parse_jump();
  fail(say({"unknown tag ", found()}));
}

Statement Parser::parse_if() {
  Statement statement;
  statement.kind = StatementKind::branch;
  statement.line = now().line;
  const bool lenient = std::exchange(lenient_, true);
  do {
    take();  // if, elif
    statement.expressions.push_back(parse_tuple(Condition::refused));
    statement.bodies.push_back(parse_block_body({"elif", "else", "endif"}));
  } while (at_name("elif"));
  if (take().text == "else") statement.bodies.push_back(parse_last_body("endif"));
  lenient_ = lenient;
  return statement;
}

Statement Parser::parse_for() {
  Statement statement;
  statement.kind = StatementKind::loop;
  statement.line = take().line;
  statement.target = parse_target(false, "in");
  if (names_loop(statement.target)) fail("cannot assign to the special variable 'loop'");
  if (!skip_name("in")) fail(say({"expected 'in', found ", found()}));
  statement.expressions.push_back(parse_tuple(Condition::refused, "recursive"));
  const bool lenient = std::exchange(lenient_, false);
  statement.expressions.push_back(skip_name("if") ? parse_expression() : nullptr);
  statement.recursive = skip_name("recursive");
  ++loops_;
  statement.bodies.push_back(parse_block_body({"endfor", "else"}));
  --loops_;
  if (take().text == "else") statement.bodies.push_back(parse_last_body("endfor"));
  lenient_ = lenient;
  return statement;
}

Statement Parser::parse_set() {
  Statement statement;
  statement.line = take().line;
  statement.target = parse_target(true, {});
  if (skip_symbol("=")) {
    statement.kind = StatementKind::assign;
    statement.expressions.push_back(parse_tuple());
    return statement;
  }
  statement.kind = StatementKind::assign_block;
  statement.expressions.push_back(parse_filters(nullptr, false));
  statement.bodies.push_back(parse_last_body("endset"));
  return statement;
}

Statement Parser::parse_macro() {
  Statement statement;
  statement.kind = StatementKind::macro;
  statement.line = take().line;
  statement.name = expect_name();
  parse_signature(statement.signature);
  statement.bodies.push_back(parse_function_body("endmacro", statement.signature));
  return statement;
}

Statement Parser::parse_call_block() {
  Statement statement;
  statement.kind = StatementKind::call_block;
  statement.line = take().line;
  if (at_symbol("(")) parse_signature(statement.signature);
  statement.expressions.push_back(parse_expression());
  if (statement.expressions[0]->kind != ExpressionKind::call) fail("expected a call in the call block");
  statement.bodies.push_back(parse_function_body("endcall", statement.signature));
  return statement;
}

Statement Parser::parse_filter_block() {
  Statement statement;
  statement.kind = StatementKind::filter_block;
  statement.line = take().line;
  statement.expressions.push_back(parse_filters(nullptr, true));
  statement.bodies.push_back(parse_last_body("endfilter"));
  return statement;
}

Statement Parser::parse_with() {
  Statement statement;
  statement.kind = StatementKind::with;
  statement.line = take().line;
  while (now().kind != TokenKind::block_end) {
    if (!statement.expressions.empty()) expect_symbol(",");
    statement.target.parts.push_back(parse_one_target(false));
    expect_symbol("=");
    statement.expressions.push_back(parse_expression());
  }
  statement.bodies.push_back(parse_last_body("endwith"));
  return statement;
}

/// Hugging Face's mark around what the assistant says: rendered as it stands.
Statement Parser::parse_generation() {
  Statement statement;
  statement.kind = StatementKind::scope;
  statement.line = take().line;
  statement.bodies.push_back(parse_function_body("endgeneration", statement.signature));
  return statement;
}

Statement Parser::parse_print() {
  Statement statement;
  statement.kind = StatementKind::output;
  statement.line = take().line;
  while (now().kind != TokenKind::block_end) {
    if (!statement.expressions.empty()) expect_symbol(",");
    statement.expressions.push_back(parse_expression());
  }
  return statement;
}

Statement Parser::parse_jump() {
  Statement statement;
  if (loops_ == 0) fail(say({found(), " outside a loop"}));
  statement.line = now().line;
  statement.kind = take().text == "break" ? StatementKind::stop : StatementKind::proceed;
  return statement;
}

Target Parser::parse_target(bool namespaces, std::string_view end) {
  Target whole;
  whole.line = now().line;
  bool several = false;
  while (!tuple_ends(end)) {
    whole.parts.push_back(parse_one_target(namespaces));
    if (!at_symbol(",")) break;
    several = true;
    take();
  }
  if (whole.parts.empty()) fail(say({"expected a name to assign to, found ", found()}));
  if (several) return whole;
  Target only = std::move(whole.parts.front());
  return only;
}

Target Parser::parse_one_target(bool namespaces) {
  const Deeper deeper(*this);
  if (skip_symbol("(")) {
    Target inside = parse_target(namespaces, {});
    expect_symbol(")");
    return inside;
  }
  Target target;
  target.line = now().line;
  target.name = expect_name();
  if (target.name == "true" || target.name == "false" || target.name == "none" || target.name == "True" || target.name == "False" ||
      target.name == "None") {
    fail(say({"cannot assign to '", target.name, "'"}));
  }
  if (namespaces && skip_symbol(".")) target.attribute = expect_name();
  return target;
}

void Parser::parse_signature(Signature& signature) {
  expect_symbol("(");
  while (!at_symbol(")")) {
    if (!signature.names.empty()) expect_symbol(",");
    signature.names.push_back(parse_one_target(false).name);
    if (skip_symbol("=")) {
      signature.defaults.push_back(parse_expression());
    } else if (!signature.defaults.empty()) {
      fail("non-default argument follows default argument");
    }
  }
  expect_symbol(")");
}

}  // namespace troupe::jinja
