#pragma once
// Roles as people and metrics call them.
#include <string_view>

#include "common/wire/messages.hpp"

namespace troupe::wire {

/// "unknown" for a number that is no role.
[[nodiscard]] constexpr std::string_view role_name(Role role) {
  switch (role) {
    case Role::gateway:
      return "gateway";
    case Role::router:
      return "router";
    case Role::prefill:
      return "prefill";
    case Role::decode:
      return "decode";
  }
  return "unknown";
}

}  // namespace troupe::wire
