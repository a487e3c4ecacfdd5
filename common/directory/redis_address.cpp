#include "common/directory/redis_address.hpp"

#include <charconv>

namespace troupe::directory {
namespace {

tl::unexpected<Error> wrong(std::string_view text) {
  return fail(Errc::config_invalid, "found \"" + std::string(text) +
                                        "\", expected redis://host:port or redis://host:port/database");
}

template <class Number>
bool read_whole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Expected<RedisAddress> parse_redis_address(std::string_view text) {
  if (!text.starts_with(kRedisScheme)) return wrong(text);
  std::string_view rest = text.substr(kRedisScheme.size());
  if (rest.find('@') != std::string_view::npos)
    return fail(Errc::config_invalid,
                "a directory's address holds no password; cluster.directory_password does");
  RedisAddress out;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    if (!read_whole(rest.substr(slash + 1), out.database)) return wrong(text);
    rest = rest.substr(0, slash);
  }
  std::size_t host_end = rest.find(':');
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return wrong(text);
    out.host = rest.substr(1, close - 1);
    host_end = close + 1 == rest.size() ? std::string_view::npos : close + 1;
    if (host_end != std::string_view::npos && rest[host_end] != ':') return wrong(text);
  } else {
    out.host = rest.substr(0, host_end);
  }
  if (host_end != std::string_view::npos &&
      (!read_whole(rest.substr(host_end + 1), out.port) || out.port == 0))
    return wrong(text);
  if (out.host.empty()) return wrong(text);
  return out;
}

}  // namespace troupe::directory
