// The table of subcommands: a new one is one line here.
#include "services/cli/command.hpp"

namespace troupe::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands{
      {"up", "cluster.yaml [flags]", "start and supervise one process per role", up_command},
      {"chat", "[--url URL] [--model NAME] [flags]", "talk to a model in the terminal", chat_command},
      {"models", "list | pull NAME... | inspect NAME|FILE", "known models, their files and what is in them",
       models_command},
      {"techniques", "", "what is implemented, from which paper, and what it does to the answer",
       techniques_command},
      {"config", "print [--role ROLE] [--json] [flags]",
       "every option with its value and where that came from", config_command},
      {"version", "", "the version", version_command},
  };
  return kCommands;
}

}  // namespace troupe::cli
