#pragma once
// The page at "/": what is served, how busy it is, and a chat that streams through the API. One file, nothing
// loaded from elsewhere.
#include <string_view>

namespace troupe::gateway {

[[nodiscard]] std::string_view web_page();

}  // namespace troupe::gateway
