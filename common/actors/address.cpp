#include "common/actors/address.hpp"

#include <charconv>

namespace troupe::actors {

Expected<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::config_invalid, "\"" + std::string(text) + "\" is not host:port");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return bad();
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || digits.empty() || error != std::errc{} || end != digits.data() + digits.size() ||
      port > 65535)
    return bad();
  return HostPort{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string format(const HostPort& value) {
  const bool v6 = value.host.find(':') != std::string::npos;
  return (v6 ? "[" + value.host + "]" : value.host) + ":" + std::to_string(value.port);
}

Expected<HostPort> tcp_host_port(std::string_view address) {
  if (!is_tcp(address))
    return fail(Errc::config_invalid, "\"" + std::string(address) + "\" does not begin with tcp://");
  return parse_host_port(address.substr(kTcp.size()));
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Expected<void> check_listen(std::string_view option, const HostPort& value, bool allowed) {
  if (allowed || is_loopback(value.host)) return {};
  return fail(Errc::config_invalid,
              std::string(option) + " is " + format(value) +
                  ": cluster ports on other addresses than loopback need keys (troupe keys make, security.keys); "
                  "--insecure allows it on a network where everyone is trusted");
}

}  // namespace troupe::actors
