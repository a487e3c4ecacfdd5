#pragma once
// The seam between the command line and the roles: roles.cpp defines run_role() and knows every service.
#include <functional>
#include <string_view>

#include "common/config/config.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {

/// Runs a role until SIGTERM or SIGINT has drained it. `role` is serve, gateway, router, prefill, decode or draft.
/// Calls notify_ready() (notify.hpp) when it takes requests, and `reread` for its configuration at every
/// SIGHUP. Returns an ExitCode.
[[nodiscard]] int run_role(std::string_view role, const Config& config,
                           std::function<Expected<Config>()> reread);

/// A role's subcommand: --help, configuration from all sources, logs, then run_role(). Its row of the table
/// is
///   {"router", "[flags]", "one router", [](Arguments a, Io& io) { return role_command("router",
///   std::move(a), io); }},
int role_command(std::string_view role, Arguments arguments, Io& io);

}  // namespace troupe::cli
