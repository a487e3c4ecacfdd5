#include <ostream>

#include "common/backend/backend.hpp"
#include "common/wire/release.hpp"
#include "services/cli/command.hpp"
#include "services/cli/version.hpp"

namespace troupe::cli {

std::string_view version() {
  return wire::own_release().version;
}

/// Version, compiler, and the instruction sets that engine.isa may name on this machine.
int version_command(Arguments arguments, Io& io) {
  if (!arguments.empty()) return report({Errc::config_invalid, "version takes no arguments"}, io);
  io.out << "troupe " << version() << " (C++ compiler " << __VERSION__ << ")\ninstruction sets:";
  for (const backend::Isa isa : backend::supported_isas()) io.out << ' ' << backend::isa_name(isa);
  io.out << "\nwire revision: " << wire::kRevision << ", serves with " << wire::kOldestRevision
         << " and later\n";
  return ok;
}

}  // namespace troupe::cli
