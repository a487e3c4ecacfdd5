#pragma once
// Errors of a request that was told as a chat, in the words of the API that it came by.
#include <span>
#include <string_view>

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

struct Renamed {
  std::string_view chat;  ///< what an error calls it
  std::string_view own;
};

/// With every name in message and param replaced, in the table's order.
[[nodiscard]] ApiError rename(ApiError error, std::span<const Renamed> names);

}  // namespace troupe::gateway
