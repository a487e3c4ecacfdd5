#include <ostream>

#include "services/cli/command.hpp"

namespace troupe::cli {

int version_command(Arguments arguments, Io& io) {
  if (!arguments.empty()) return report({Errc::config_invalid, "version takes no arguments"}, io);
  io.out << "troupe " << TROUPE_VERSION << " (C++ compiler " << __VERSION__ << ")\n";
  return ok;
}

}  // namespace troupe::cli
