// The one executable: every role and every tool is a subcommand of it.
#include <csignal>
#include <iostream>

#include "common/config/config.hpp"
#include "services/cli/command.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE,
              SIG_IGN);  // a closed pipe or socket is an error of the write, not the end of the process
  troupe::cli::Io io{std::cout, std::cerr, 0, troupe::process_environment()};
  const int code = troupe::cli::run_command_line(troupe::cli::Arguments(argv + 1, argv + argc), io);
  std::cout.flush();
  return std::cout ? code : troupe::cli::failed;
}
