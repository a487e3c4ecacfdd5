#pragma once
// The objects of requests as JSON schemas: each is made from the table of fields that its parser checks with.
#include <span>
#include <string_view>
#include <vector>

#include "services/gateway/json_reader.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway::openapi {

/// An object of a request: which table it is checked against, and as what.
struct Shape {
  std::string_view name;  ///< in the document's components
  std::span<const Field> (*table)();
  Endpoints where;
  std::string_view required = {};  ///< fields without which it is refused, by blanks
  UnknownKeys unknown = UnknownKeys::refused;
  /// Fields of a chat that it takes as well; null: none.
  bool (*of_chat)(std::string_view name) = nullptr;
};

[[nodiscard]] std::span<const Shape> shapes();

/// What a field holds: `shapes` are names with '|' between.
struct Inner {
  std::string_view shape, field;
  std::string_view object = {};  ///< an object of one of these shapes
  std::string_view items = {};   ///< a list of such objects
};
[[nodiscard]] std::span<const Inner> inner_shapes();

/// The fields that an object of this shape may have, one row of each name.
[[nodiscard]] std::vector<const Field*> fields_of(const Shape& shape);
/// JSON schema (2020-12) of an object; inner ones are references into components.
[[nodiscard]] Json schema_of(const Shape& shape);

/// "a b" as a list.
[[nodiscard]] std::vector<std::string_view> words(std::string_view list, char between = ' ');
/// {"$ref": "#/components/KIND/NAME"}
[[nodiscard]] Json reference(std::string_view name, std::string_view kind = "schemas");

}  // namespace troupe::gateway::openapi
