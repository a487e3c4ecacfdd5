#pragma once
// Values between fixed texts, such as calls of tools: which texts stand around a value decides which schema
// it follows.
#include "common/grammar/builder.hpp"
#include "common/grammar/json_text.hpp"

namespace troupe::grammar {

/// A text of Kind::tagged:
///   {"open": "[", "between": ", ", "close": "]", "most": 3,
///    "items": [{"begin": "{\"f\": ", "schema": {...}, "end": "}"}, ...],
///    "free": {"trigger": "<call>"} | {"unlike": "{["} | {"schema": {...}}}
/// is `open`, one to `most` items with `between` between them, `close`. With `free` the answer may be another
/// text instead: for `trigger`, which `open` begins with, any text up to it; for `unlike` one whose first
/// character that is not blank is none of these; or a value of a schema. References in a schema are into
/// that schema. Errors: invalid_argument.
[[nodiscard]] Expected<Expr> tagged(Builder& builder, const Json& form, const Limits& limits);

}  // namespace troupe::grammar
