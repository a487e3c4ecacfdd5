#pragma once
// Addresses of roles and data planes: "tcp://host:port" between processes, "local://name" inside one.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe::actors {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

/// "127.0.0.1:7001", "[::1]:7001", "name:7001". Errors: config_invalid.
[[nodiscard]] Expected<HostPort> parse_host_port(std::string_view text);
[[nodiscard]] std::string format(const HostPort& value);

inline constexpr std::string_view kTcp = "tcp://";
inline constexpr std::string_view kLocal = "local://";

[[nodiscard]] inline bool is_tcp(std::string_view address) {
  return address.starts_with(kTcp);
}
[[nodiscard]] inline bool is_local(std::string_view address) {
  return address.starts_with(kLocal);
}
/// Errors: config_invalid.
[[nodiscard]] Expected<HostPort> tcp_host_port(std::string_view address);

[[nodiscard]] bool is_loopback(std::string_view host);
/// Without keys anyone who reaches a cluster port can speak to it: other addresses than loopback must be `allowed`, by keys or on
/// purpose. Errors: config_invalid.
[[nodiscard]] Expected<void> check_listen(std::string_view option, const HostPort& value, bool allowed);

}  // namespace troupe::actors
