#include <ostream>

#include "common/config/draft_role.hpp"
#include "common/config/dump.hpp"
#include "common/config/options.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe config print [--role serve|up|gateway|router|prefill|decode|draft] [--json] [flags]\n\n"
    "Prints every option as YAML that can be loaded again, with help and the place its value came from.\n\n"
    "A role that runs reads its file again at SIGHUP: reloadable options (its /config says which are) are taken over, others\n"
    "are named in its log and, as \"pending\", in its /config, and wait for a restart. A file that is wrong changes nothing.\n\n";

Expected<std::string> printed(Arguments arguments, const Io& io) {
  const bool json = take_switch(arguments, "--json");
  auto role = take_flag(arguments, "--role");
  if (!role) return tl::unexpected<Error>(std::move(role.error()));
  RoleSet roles = kAnyRole;
  if (*role) {
    const auto set = role_set(**role);
    if (!set) return tl::unexpected<Error>(set.error());
    roles = *set;
  }
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  sources.environment = io.environment;
  sources.role = role->value_or("");
  const auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  if (!config->positionals().empty())
    return fail(Errc::config_invalid, "found " + config->positionals().front() + ", expected flags");
  return json ? dump_json(*config, roles) + "\n" : dump_yaml(*config, roles);
}

}  // namespace

int config_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << help_text(product_schema());
    return ok;
  }
  if (arguments.empty() || arguments.front() != "print")
    return report({Errc::config_invalid, "expected: troupe config print"}, io);
  arguments.erase(arguments.begin());
  const auto text = printed(std::move(arguments), io);
  if (!text) return report(text.error(), io);
  io.out << *text;
  return ok;
}

}  // namespace troupe::cli
