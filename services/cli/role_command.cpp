#include <ostream>

#include "common/base/log.hpp"
#include "common/config/dump.hpp"
#include "common/config/options.hpp"
#include "services/cli/role_options.hpp"
#include "services/cli/role_runner.hpp"

namespace troupe::cli {

int role_command(std::string_view role, Arguments arguments, Io& io) {
  const auto roles = role_set(role);
  if (!roles) return report(roles.error(), io);
  if (take_switch(arguments, "--help")) {
    io.out << "usage: troupe " << role << " [flags]\n\n" << help_text(product_schema(), *roles);
    return ok;
  }
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  sources.environment = io.environment;
  sources.role = role;
  const auto config = Config::load(product_schema(), sources);
  if (!config) return report(config.error(), io);
  if (!config->positionals().empty())
    return report({Errc::config_invalid, "found " + config->positionals().front() + ", expected flags"}, io);
  log::configure({log_level(*config), config->boolean("log.json"), std::string(role)});
  return run_role(role, *config, [sources] { return Config::load(product_schema(), sources); });
}

}  // namespace troupe::cli
