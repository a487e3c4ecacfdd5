#pragma once
// A subcommand of `troupe` and what it may touch.
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::cli {

using Arguments = std::vector<std::string>;

/// The outside of a command, so that tests can stand in for it.
struct Io {
  std::ostream& out;
  std::ostream& err;
  int input = 0;  ///< descriptor of standard input
  std::vector<std::pair<std::string, std::string>> environment;
};

/// Exit codes: the supervisor restarts a process that ends with failed, and gives up on one that ends with
/// bad_input.
enum ExitCode : int { ok = 0, failed = 1, bad_input = 2 };

/// bad_input for what the same command line would meet again (configuration, malformed or missing files),
/// else failed.
[[nodiscard]] ExitCode exit_code(const Error& error);

/// Prints "troupe: <error>" and gives its exit code.
int report(const Error& error, Io& io);

/// The header that shows a gateway the key in OPENAI_API_KEY; none where there is no such variable.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> key_header(const Io& io);

struct Command {
  std::string_view name;   ///< one word, or two: "bench engine"
  std::string_view usage;  ///< what follows the name
  std::string_view summary;
  int (*run)(Arguments arguments, Io& io);
};

/// The table of subcommands: commands.cpp.
[[nodiscard]] const std::vector<Command>& commands();

/// Runs `arguments` (without the program's name). Unknown commands suggest the nearest one.
int run_command_line(Arguments arguments, Io& io);

/// What a command does when this is its first argument: `troupe keys make`.
struct Verb {
  std::string_view name;
  std::function<int(Arguments arguments, Io& io)> run;  ///< gets what follows the verb
};
/// Runs the verb that `arguments` begins with. --help prints `help`; nothing prints it, too, and is
/// bad_input, and so is an unknown verb, which suggests the nearest.
int run_verb(std::string_view command, std::string_view help, const std::vector<Verb>& verbs,
             Arguments arguments, Io& io);
/// A verb's exit code: what went wrong is printed.
[[nodiscard]] int ended(const Expected<void>& done, Io& io);

/// Removes `--flag value` or `--flag=value`; nullopt when absent. Errors: config_invalid when its value is
/// missing.
[[nodiscard]] Expected<std::optional<std::string>> take_flag(Arguments& arguments, std::string_view flag);
/// Removes `flag`; whether it was there.
[[nodiscard]] bool take_switch(Arguments& arguments, std::string_view flag);

int config_command(Arguments arguments, Io& io);
int techniques_command(Arguments arguments, Io& io);
int health_command(Arguments arguments, Io& io);
int models_command(Arguments arguments, Io& io);
int bench_command(Arguments arguments, Io& io);
int chat_command(Arguments arguments, Io& io);
int up_command(Arguments arguments, Io& io);
int bench_engine_command(Arguments arguments, Io& io);
int bench_speculation_command(Arguments arguments, Io& io);
int bench_quality_command(Arguments arguments, Io& io);
int simulate_command(Arguments arguments, Io& io);
int trace_command(Arguments arguments, Io& io);
int doctor_command(Arguments arguments, Io& io);
int plan_command(Arguments arguments, Io& io);
int top_command(Arguments arguments, Io& io);
int keys_command(Arguments arguments, Io& io);
int api_keys_command(Arguments arguments, Io& io);
int version_command(Arguments arguments, Io& io);

}  // namespace troupe::cli
