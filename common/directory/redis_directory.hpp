#pragma once
// The directory of a cluster of several processes: a Redis, which may be away.
#include <memory>

#include "common/directory/redis_connection.hpp"

namespace troupe::directory {

/// Returns at once; while Redis is away calls are answered with peer_lost.
[[nodiscard]] std::unique_ptr<Directory> open_redis_directory(RedisOptions options);

}  // namespace troupe::directory
