#pragma once
// Schemas that must hold together, as one schema; and schemas of which at most one can hold.
#include <string>

#include "common/grammar/json_text.hpp"

namespace troupe::grammar {

/// Keywords that say something about a value to people only.
[[nodiscard]] bool is_annotation(const std::string& keyword);

/// One schema that allows what both allow. Neither holds $ref, allOf, or a boolean. Errors: invalid_argument
/// naming a keyword that both give and that cannot be joined.
[[nodiscard]] Expected<Json> merge_schemas(const Json& a, const Json& b);

/// Whether no value can match both, as far as types, constants and constant properties tell.
[[nodiscard]] bool surely_disjoint(const Json& a, const Json& b);

}  // namespace troupe::grammar
