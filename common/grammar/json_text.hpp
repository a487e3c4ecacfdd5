#pragma once
// JSON as a text: its values as expressions, each rule made when it is first asked for. Between the parts of
// a value stands nothing, one space, or a line end and up to 16 blanks, so that an answer cannot go on in
// white space for ever.
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/grammar/builder.hpp"

namespace troupe::grammar {

/// Keeps the order of keys: properties are written in it.
using Json = nlohmann::ordered_json;

/// Threads: one.
class JsonText {
 public:
  explicit JsonText(Builder& builder) : builder_(builder) {}

  [[nodiscard]] Expr space();
  [[nodiscard]] Expr any_value();  ///< arrays and objects within each other as deep as an Automaton follows
  [[nodiscard]] Expr any_object();
  [[nodiscard]] Expr any_array();
  [[nodiscard]] Expr string();                                         ///< any
  [[nodiscard]] Expr string(std::uint32_t least, std::uint32_t most);  ///< by its number of characters
  [[nodiscard]] Expr number();
  [[nodiscard]] Expr integer();
  [[nodiscard]] Expr boolean();
  /// Exactly this value, without white space.
  [[nodiscard]] Expr value(const Json& value);
  /// A string whose characters `inner` spells (spell()).
  [[nodiscard]] Expr quoted(Expr inner);
  /// The characters of `set` as a JSON string has them: raw, or escaped in one way where they must be.
  [[nodiscard]] static Expr spell(Builder& builder, const CharSet& set);
  /// A key that is none of `taken`, written without escapes.
  [[nodiscard]] Expr other_key(const std::set<std::string>& taken);
  /// `"key": ` and a value.
  [[nodiscard]] Expr member(Expr key, Expr value);

 private:
  [[nodiscard]] Expr character();  ///< as an expression: its states are copied
  [[nodiscard]] Expr members(Expr one);
  [[nodiscard]] Expr key_tail(const std::vector<std::u32string>& taken, std::size_t begin, std::size_t end,
                              std::size_t depth);
  template <class Make>
  Expr once(std::optional<Rule>& rule, const char* name, const Make& make);

  Builder& builder_;
  std::optional<Rule> space_, value_, object_, array_, string_, char_, key_char_, number_, integer_;
};

}  // namespace troupe::grammar
