#include "common/actors/local_address.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace troupe::actors {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) found = nullptr;
  return {found, &::freeaddrinfo};
}

/// "" when it cannot be told.
std::string numeric(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  const int failed = ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return failed == 0 ? std::string(text.data()) : std::string();
}

/// Connecting a datagram socket chooses the route, and with it the source address, without a packet.
std::string source_for(const addrinfo& target) {
  const int fd = ::socket(target.ai_family, target.ai_socktype | SOCK_CLOEXEC, target.ai_protocol);
  if (fd < 0) return {};
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  auto* address = reinterpret_cast<sockaddr*>(&own);
  const bool known =
      ::connect(fd, target.ai_addr, target.ai_addrlen) == 0 && ::getsockname(fd, address, &size) == 0;
  ::close(fd);
  return known ? numeric(address, size) : std::string();
}

}  // namespace

bool is_wildcard(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "*";
}

Expected<std::string> address_towards(const HostPort& peer) {
  const Addresses found = resolve(peer.host, peer.port);
  if (!found) return fail(Errc::peer_lost, "the name in " + format(peer) + " does not resolve");
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next)
    if (std::string source = source_for(*at); !source.empty()) return source;
  return fail(Errc::peer_lost, "no route leads to " + format(peer));
}

Expected<std::string> address_of_own_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0)
    return fail(Errc::peer_lost, "this machine has no name");
  const Addresses found = resolve(name.data(), 0);
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    std::string address = numeric(at->ai_addr, at->ai_addrlen);
    if (!address.empty() && !is_loopback(address)) return address;
  }
  return fail(Errc::peer_lost, "this machine's name, " + std::string(name.data()) +
                                   ", resolves to no address others could reach");
}

}  // namespace troupe::actors
