#pragma once
// Parameters of queries, headers and paths.
#include <span>
#include <string_view>

namespace troupe::gateway::openapi {

struct Parameter {
  std::string_view key;  ///< by which a route names it
  std::string_view name, in, text;
  std::string_view schema;  ///< JSON
};

[[nodiscard]] std::span<const Parameter> parameters();
/// nullptr: there is none.
[[nodiscard]] const Parameter* find_parameter(std::string_view key);

}  // namespace troupe::gateway::openapi
