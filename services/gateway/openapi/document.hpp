#pragma once
// /openapi.json (OpenAPI 3.1.0): made of the table of routes, the tables of fields, and error_codes.def, so
// that it says of each what the code itself goes by.
#include <string>
#include <string_view>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::openapi {

/// `admin`: of a port that has the admin routes too.
[[nodiscard]] Json make_document(bool admin);

/// A route's path as the document has it: "{+model}" is "{model}".
[[nodiscard]] std::string path_template(std::string_view path);

}  // namespace troupe::gateway::openapi
