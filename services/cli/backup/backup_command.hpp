#pragma once
// The subcommands `backup` and `restore`.
#include "services/cli/command.hpp"

namespace troupe::cli {

int backup_command(Arguments arguments, Io& io);
int restore_command(Arguments arguments, Io& io);

}  // namespace troupe::cli
