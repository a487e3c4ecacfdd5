#pragma once
// What a request may not ask for beside a search (beams, superposed drafts), which takes the likeliest tokens
// as the model has them.
#include <string_view>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// Refuses field `name`, by both names.
[[nodiscard]] tl::unexpected<ApiError> clash(std::string_view name, std::string_view search,
                                             std::string_view why);

/// `object` is the body, its fields checked by the schema; `search` the field that asks for one. Errors:
/// unsupported_parameter naming what it does not go with.
[[nodiscard]] Parsed<void> check_search_company(const Json& object, std::string_view search);

}  // namespace troupe::gateway
