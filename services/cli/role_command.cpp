#include <array>
#include <ostream>

#include "common/base/log.hpp"
#include "common/config/dump.hpp"
#include "common/config/options.hpp"
#include "services/cli/role_runner.hpp"

namespace troupe::cli {
namespace {

log::Level log_level(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, log::Level>, 5> kLevels{{{"debug", log::Level::debug},
                                                                            {"info", log::Level::info},
                                                                            {"warn", log::Level::warn},
                                                                            {"error", log::Level::error},
                                                                            {"off", log::Level::off}}};
  for (const auto& [text, level] : kLevels)
    if (text == name) return level;
  return log::Level::info;
}

}  // namespace

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
  log::configure({log_level(config->text("log.level")), config->boolean("log.json"), std::string(role)});
  return run_role(role, *config);
}

}  // namespace troupe::cli
