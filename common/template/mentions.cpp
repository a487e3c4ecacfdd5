#include "common/template/mentions.hpp"

namespace troupe::jinja {
namespace {

using Names = std::set<std::string, std::less<>>;

void collect(const ExpressionPtr& expression, Names& out) {
  if (!expression) return;
  if (expression->kind == ExpressionKind::name) out.insert(expression->name);
  for (const ExpressionPtr& kid : expression->kids) collect(kid, out);
  const CallArguments& arguments = expression->arguments;
  for (const ExpressionPtr& one : arguments.positional) collect(one, out);
  for (const auto& [name, one] : arguments.named) collect(one, out);
  collect(arguments.star, out);
  collect(arguments.star_star, out);
}

// As deep as the parser let the template nest.
void collect(const Body& body, Names& out) {
  for (const Statement& statement : body) {
    for (const ExpressionPtr& one : statement.expressions) collect(one, out);
    for (const ExpressionPtr& one : statement.signature.defaults) collect(one, out);
    for (const Body& inner : statement.bodies) collect(inner, out);
  }
}

}  // namespace

std::set<std::string, std::less<>> mentioned_names(const Body& body) {
  Names out;
  collect(body, out);
  return out;
}

}  // namespace troupe::jinja
