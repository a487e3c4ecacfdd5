#pragma once
// The role of a draft service: it serves no request itself, so it is in none of the sets of schema.hpp.
#include "common/config/schema.hpp"

namespace troupe {

inline constexpr RoleSet kDraft = 32;
inline constexpr RoleSet kComputing = kWorkers | kDraft;   ///< they load weights
inline constexpr RoleSet kMembers = kServing | kDraft;     ///< they have a cluster port
inline constexpr RoleSet kAnyRole = kEveryRole | kDraft;

}  // namespace troupe
