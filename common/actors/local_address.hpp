#pragma once
// Which of its own addresses a process that listens on all of them tells others.
#include <string>
#include <string_view>

#include "common/actors/address.hpp"

namespace troupe::actors {

/// "0.0.0.0", "::" or "*": every address of the machine, and none that another machine could dial.
[[nodiscard]] bool is_wildcard(std::string_view host);

/// The address from which this machine speaks to `peer`: on a machine with several networks the one that both
/// are on. Sends nothing, but resolves the peer's name. Errors: peer_lost when it does not resolve or no
/// route leads there. Threads: any; blocks.
[[nodiscard]] Expected<std::string> address_towards(const HostPort& peer);

/// What this machine's own name resolves to, loopback left aside. Errors: peer_lost. Threads: any; blocks.
[[nodiscard]] Expected<std::string> address_of_own_name();

}  // namespace troupe::actors
