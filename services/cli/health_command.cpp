// `troupe health`: the probe of a container whose image has no shell and no other client.
#include <ostream>

#include "common/actors/local_address.hpp"
#include "common/config/config.hpp"
#include "common/config/options.hpp"
#include "common/http/client.hpp"
#include "common/terminal/printable.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kHelp =
    "usage: troupe health [ROLE] [--url URL] [--timeout TIME] [--quiet]\n\n"
    "Asks the process of ROLE (gateway, router, prefill, decode, draft; serve when none is named) on this machine "
    "for /readyz and ends\n"
    "with 0 when it is ready, with 1 when it is not. Its address is where the same variables and file put "
    "it.\n\n"
    "  --url URL       ask this instead: http://host:port/path\n"
    "  --timeout TIME  for the connection, and for each wait after it (2s)\n"
    "  --quiet         say nothing when ready\n";
constexpr std::size_t kLargestBody = 64U << 10;

std::string dialled(std::string_view host) {
  if (!actors::is_wildcard(host)) return std::string(host);
  return host == "::" ? "::1" : "127.0.0.1";
}

/// Where `role` answers by its configuration. Errors: config_invalid.
Expected<std::string> url_of(std::string_view role, const Io& io) {
  const auto roles = role_set(role);
  if (!roles) return tl::unexpected<Error>(roles.error());
  ConfigSources sources;
  sources.environment = io.environment;
  const auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  const bool https = !config->text("http.tls.certificate").empty();  // then the metrics port answers without a certificate
  const std::string group = (*roles & kGateway) != 0 && !https ? "http" : "metrics";
  const std::int64_t port = config->integer(group + ".port");
  if (port <= 0)
    return fail(Errc::config_invalid,
                group + ".port is " + std::to_string(port) + ": a probe needs a fixed port, or --url");
  const actors::HostPort at{dialled(config->text(group + ".host")), static_cast<std::uint16_t>(port)};
  return "http://" + actors::format(at) + "/readyz";
}

Expected<std::string> url_from(Arguments& arguments, const Io& io) {
  auto url = take_flag(arguments, "--url");
  if (!url) return tl::unexpected<Error>(url.error());
  if (*url && !arguments.empty())
    return fail(Errc::config_invalid, "found both --url and " + arguments.front() + ", expected one");
  if (*url) return std::move(**url);
  if (arguments.size() > 1)
    return fail(Errc::config_invalid, "found " + arguments[1] + ", expected one role");
  return url_of(arguments.empty() ? "serve" : std::string_view(arguments.front()), io);
}

Expected<Duration> timeout_from(Arguments& arguments) {
  const auto text = take_flag(arguments, "--timeout");
  if (!text) return tl::unexpected<Error>(text.error());
  const auto value = parse_value(OptionType::duration, text->value_or("2s"));
  if (!value) return fail(Errc::config_invalid, "--timeout: " + value.error().detail);
  const Duration timeout = std::get<Duration>(*value);
  if (timeout < 1ms || timeout > 10min) return fail(Errc::config_invalid, "--timeout: expected 1ms to 10min");
  return timeout;
}

/// Not ready is `failed` whatever the reason, so that a probe tells it from its own wrong use.
int unready(const Error& error, Io& io) {
  io.err << "troupe: " << printable(to_string(error)) << "\n";
  return failed;
}

}  // namespace

int health_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp;
    return ok;
  }
  const bool quiet = take_switch(arguments, "--quiet");
  const auto timeout = timeout_from(arguments);
  if (!timeout) return report(timeout.error(), io);
  const auto text = url_from(arguments, io);
  if (!text) return report(text.error(), io);
  const auto url = parse_url(*text);
  if (!url) return report(url.error(), io);
  HttpRequest request;
  request.path = url->path;
  auto answer = HttpAnswer::open(*url, request, -1, {*timeout, *timeout});
  if (!answer) return unready(answer.error(), io);
  const auto body = answer->read_all(kLargestBody);
  if (!body) return unready(body.error(), io);
  if (answer->status() != 200)
    return unready({Errc::io_failed, *text + " answered " + std::to_string(answer->status()) + ": " + *body},
                   io);
  if (!quiet) io.out << "ready\n";
  return ok;
}

}  // namespace troupe::cli
