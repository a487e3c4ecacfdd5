#pragma once
// "redis://host:port/database": where a Redis is. The password is an option of its own, so that an address
// may be shown.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe::directory {

struct RedisAddress {
  std::string host;
  std::uint16_t port = 6379;
  std::uint32_t database = 0;
};

inline constexpr std::string_view kRedisScheme = "redis://";

/// "redis://127.0.0.1:6379", "redis://[::1]:6379/2", "redis://cache". Errors: config_invalid with what was
/// found and expected; also for a user or password before the host.
[[nodiscard]] Expected<RedisAddress> parse_redis_address(std::string_view text);

}  // namespace troupe::directory
