#pragma once
// What a table of fields does not say of them: a sentence for each, defaults, and the words that may stand
// there.
#include <span>
#include <string_view>

namespace troupe::gateway::openapi {

struct Note {
  std::string_view field;  ///< "name", or "Shape.name" where one shape differs
  std::string_view text;
  std::string_view otherwise = {};  ///< JSON: what holds where the field is absent
  std::string_view more = {};       ///< JSON object: further keywords of its schema
};

[[nodiscard]] std::span<const Note> notes();
/// That of this shape, else that of the name; empty: there is none.
[[nodiscard]] Note note_of(std::string_view shape, std::string_view field);

}  // namespace troupe::gateway::openapi
