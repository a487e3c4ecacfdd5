#pragma once
// Builds the tree of a template from its tokens, the grammar being that of Jinja 3.1 without inheritance and imports.
#include <string>
#include <string_view>
#include <vector>

#include "common/template/ast.hpp"
#include "common/template/lexer.hpp"

namespace troupe::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, std::size_t max_depth) : tokens_(std::move(tokens)), max_depth_(max_depth) {}
  /// Throws Fault.
  [[nodiscard]] Body parse();

 private:
  class Deeper;
  enum class Condition { allowed, refused };

  // parser.cpp: statements
  Body parse_body(const std::vector<std::string_view>& ends);
  Body parse_block_body(const std::vector<std::string_view>& ends);  // from the tag's own "%}" up to the name of the tag that ends it
  Body parse_last_body(std::string_view end);
  Body parse_function_body(std::string_view end, Signature& signature);
  Statement parse_statement();
  Statement parse_if();
  Statement parse_for();
  Statement parse_set();
  Statement parse_macro();
  Statement parse_call_block();
  Statement parse_filter_block();
  Statement parse_with();
  Statement parse_generation();
  Statement parse_print();
  Statement parse_jump();
  Target parse_target(bool namespaces, std::string_view end);
  Target parse_one_target(bool namespaces);
  void parse_signature(Signature& signature);

  // expression_parser.cpp
  ExpressionPtr parse_tuple(Condition condition = Condition::allowed, std::string_view end = {}, bool parenthesized = false);
  ExpressionPtr parse_expression(Condition condition = Condition::allowed);
  ExpressionPtr parse_any();
  ExpressionPtr parse_all();
  ExpressionPtr parse_negation();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_number();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr expression);
  ExpressionPtr parse_subscript(ExpressionPtr expression);
  ExpressionPtr parse_index();
  ExpressionPtr parse_filters(ExpressionPtr expression, bool starts_inline);
  ExpressionPtr parse_test(ExpressionPtr expression);
  ExpressionPtr parse_call(ExpressionPtr expression);
  CallArguments parse_arguments();
  std::string parse_dotted();
  [[nodiscard]] bool tuple_ends(std::string_view end) const;

  ExpressionPtr make(ExpressionKind kind, int line) const;
  ExpressionPtr wrap(ExpressionKind kind, int line, ExpressionPtr kid);
  void add_kid(Expression& parent, ExpressionPtr kid);
  void add_arguments(Expression& parent, CallArguments arguments);
  void note_unknown(std::string_view what, const std::string& name);

  [[nodiscard]] const Token& now() const { return tokens_[at_]; }
  [[nodiscard]] const Token& look() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take();
  [[nodiscard]] bool at_symbol(std::string_view symbol) const { return now().kind == TokenKind::symbol && now().text == symbol; }
  [[nodiscard]] bool at_name(std::string_view name) const { return now().kind == TokenKind::name && now().text == name; }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  std::string expect_name();
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void fail(std::string reason) const;
  [[nodiscard]] std::string found() const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t max_depth_;
  std::size_t depth_ = 0;
  std::size_t loops_ = 0;               // enclosing loops of the same function: where break may stand
  bool lenient_ = false;                // inside a condition an unknown filter or test is an error only when reached
  std::vector<Fault> unknown_;          // filters and tests that are missing where that is an error at once
  std::vector<Signature*> functions_;   // enclosing macros, told when caller, varargs or kwargs is named
};

/// Counts nesting while in scope.
class Parser::Deeper {
 public:
  explicit Deeper(Parser& parser) : parser_(parser) {
    if (++parser_.depth_ > parser_.max_depth_) parser_.fail("nested deeper than " + std::to_string(parser_.max_depth_));
  }
  ~Deeper() { --parser_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Parser& parser_;
};

}  // namespace troupe::jinja
