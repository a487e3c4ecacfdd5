#pragma once
// JSON Schema (draft 2020-12, the part that says what a value looks like) as a grammar.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/grammar/json_text.hpp"
#include "common/grammar/regex.hpp"

namespace troupe::grammar {

/// One schema into one builder. Properties are written in the order of the schema; `additionalProperties`
/// counts as false where `properties` are named and it is absent. A keyword that is not known is an error
/// that names it. Threads: one.
class SchemaCompiler {
 public:
  SchemaCompiler(Builder& builder, const Json& root, const Limits& limits)
      : builder_(builder), root_(root), limits_(limits), text_(builder) {}
  /// Errors: invalid_argument, "<JSON pointer>: what is wrong".
  [[nodiscard]] Expected<Expr> compile();

 private:
  /// Where in the schema, for messages; `depth` counts subschemas around it.
  struct Place {
    std::string pointer;
    std::uint32_t depth = 0;
    [[nodiscard]] Place at(const std::string& step) const;
    [[nodiscard]] Place at(std::size_t step) const { return at(std::to_string(step)); }
  };

  [[nodiscard]] Expected<Expr> schema(const Json& given, const Place& place);
  [[nodiscard]] Expected<void> count_work(const Place& place) const;
  [[nodiscard]] Expected<Expr> reference(const Json& target, const Place& place);
  [[nodiscard]] Expected<const Json*> resolve(const std::string& reference, const Place& place) const;
  /// Without $ref and allOf: what they bring is merged in.
  [[nodiscard]] Expected<Json> flatten(const Json& given, const Place& place) const;
  [[nodiscard]] Expected<Expr> alternatives(const Json& given, const std::string& keyword,
                                            const Place& place);
  [[nodiscard]] Expected<void> check_one_of(const Json& options, const Place& place) const;
  [[nodiscard]] Expected<Expr> constants(const Json& values, const Json& given, const Place& place);
  [[nodiscard]] Expected<Expr> typed(const std::string& type, const Json& given, const Place& place);
  [[nodiscard]] Expected<Expr> string(const Json& given, const Place& place);
  [[nodiscard]] Expected<Expr> pattern(std::string_view text, const Json& given, const Place& place);
  [[nodiscard]] Expected<Expr> number(const Json& given, bool whole, const Place& place);
  [[nodiscard]] Expected<Expr> array(const Json& given, const Place& place);
  [[nodiscard]] Expected<Expr> object(const Json& given, const Place& place);

  Builder& builder_;
  const Json& root_;
  const Limits& limits_;
  JsonText text_;
  std::map<std::string, Rule> references_;  ///< by pointer
  mutable std::uint32_t work_ = 0;          ///< subschemas looked at, merged ones each time again
};

}  // namespace troupe::grammar
