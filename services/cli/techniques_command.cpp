#include <ostream>

#include "common/speculation/techniques.hpp"
#include "services/cli/command.hpp"
#include "common/terminal/table.hpp"

namespace troupe::cli {

int techniques_command(Arguments arguments, Io& io) {
  if (!arguments.empty()) return report({Errc::config_invalid, "techniques takes no arguments"}, io);
  Table table({"NAME", "CLASS", "SERVICE", "OPTION", "NEEDS", "PAPER"});
  for (const Technique& t : techniques())
    table.add({std::string(t.name), std::string(name(t.effect)), std::string(t.service),
               std::string(t.option), std::string(t.needs), std::string(t.paper)});
  io.out << table.text()
         << "\nexact: the same bytes as plain decoding. law: the same distribution. lossy: another answer, "
            "off unless "
            "asked for.\n";
  return ok;
}

}  // namespace troupe::cli
