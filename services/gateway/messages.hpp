#pragma once
// The messages of a chat request, checked and brought into the form that templates expect.
#include <string>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// Every message becomes an object with a known role and a string as content: null is "", text parts are
/// joined by newlines, `developer` becomes `system`. Calls of tools have their arguments as objects; a result
/// names one of the calls before it. Errors: as the request parsers', with paths such as
/// "messages[2].content[0].type".
[[nodiscard]] Parsed<Json> read_messages(const Json& messages);

/// A string or an array of text parts, as a string; null pointer: "".
[[nodiscard]] Parsed<std::string> read_content(const Json* content, const std::string& path);

}  // namespace troupe::gateway
