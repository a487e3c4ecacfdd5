#pragma once
// Starting other programs by fork and exec. A child dies with this process, has /dev/null as input and no
// inherited descriptors.
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::cli {

struct ChildOptions {
  std::vector<std::pair<std::string, std::string>> environment;  ///< the whole of it
  bool own_group =
      false;  ///< out of reach of the terminal's Ctrl-C, so that the parent decides the order of ends
  bool output_to_error = false;  ///< standard output joins standard error
};

/// `arguments[0]` is the program, searched in PATH when it has no slash. Errors: io_failed; a program that
/// cannot be run ends with 127.
[[nodiscard]] Expected<pid_t> start_child(const std::vector<std::string>& arguments,
                                          const ChildOptions& options);

/// How a child ended.
struct ExitStatus {
  int code = 0;  ///< when signal is 0
  int signal = 0;
};
[[nodiscard]] ExitStatus exit_status(int wait_status);
/// "exit code 1", "signal 9"
[[nodiscard]] std::string to_string(const ExitStatus& status);

/// Starts and waits. Errors: io_failed when it does not end with code 0.
[[nodiscard]] Expected<void> run_child(const std::vector<std::string>& arguments,
                                       const ChildOptions& options);

}  // namespace troupe::cli
