#pragma once
// Whose a request is: what its client showed, as a hash that tells nothing about it.
#include <string>
#include <string_view>

#include "common/base/ids.hpp"

namespace troupe::gateway {

/// Of a request's Authorization header; the same for all who send none.
[[nodiscard]] RequestId owner_of(std::string_view authorization);
/// Whose share of the cluster a request takes and whose cached prompts it finds: "default" for all who send
/// no Authorization header, else a name made of owner_of(). Two tenants never learn from timing what the
/// other asked.
[[nodiscard]] std::string tenant_of(std::string_view authorization);
/// The name of a client's idempotency key: two owners never meet.
[[nodiscard]] RequestId scoped_key(const RequestId& owner, std::string_view key);

}  // namespace troupe::gateway
