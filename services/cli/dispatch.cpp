#include <algorithm>
#include <ostream>

#include "common/config/edit_distance.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

void print_help(std::ostream& out) {
  out << "troupe serves language models from a cluster of actors.\n\nusage: troupe COMMAND ...\n\n";
  std::size_t width = 0;
  for (const Command& command : commands()) width = std::max(width, command.name.size());
  for (const Command& command : commands())
    out << "  " << command.name << std::string(width + 2 - command.name.size(), ' ') << command.summary
        << "\n";
  out << "\ntroupe COMMAND --help says more about one.\n";
}

}  // namespace

ExitCode exit_code(const Error& error) {
  switch (error.code) {
    case Errc::config_invalid:
    case Errc::invalid_argument:
    case Errc::file_not_found:
    case Errc::file_malformed:
    case Errc::file_unsupported:
    case Errc::hash_mismatch:
    case Errc::does_not_fit:
      return bad_input;
    default:
      return failed;
  }
}

std::vector<std::pair<std::string, std::string>> key_header(const Io& io) {
  for (const auto& [name, value] : io.environment)
    if (name == "OPENAI_API_KEY" && !value.empty()) return {{"Authorization", "Bearer " + value}};
  return {};
}

int report(const Error& error, Io& io) {
  io.err << "troupe: " << to_string(error) << "\n";
  return exit_code(error);
}

int run_command_line(Arguments arguments, Io& io) {
  if (arguments.empty()) {
    print_help(io.err);
    return bad_input;
  }
  const std::string wanted = arguments.front();
  arguments.erase(arguments.begin());
  if (wanted == "help" || wanted == "--help" || wanted == "-h") {
    print_help(io.out);
    return ok;
  }
  if (wanted == "--version") return version_command(std::move(arguments), io);
  if (!arguments.empty()) {  // a command of two words stands before one that is its first word
    const std::string both = wanted + " " + arguments.front();
    for (const Command& command : commands()) {
      if (command.name == both) return command.run(Arguments(arguments.begin() + 1, arguments.end()), io);
    }
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == wanted) return command.run(std::move(arguments), io);
    names.emplace_back(command.name);
  }
  io.err << "troupe: unknown command " << wanted << did_you_mean(wanted, names) << "\n";
  return bad_input;
}

int run_verb(std::string_view command, std::string_view help, const std::vector<Verb>& verbs,
             Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << help;
    return ok;
  }
  if (arguments.empty()) {
    io.err << help;
    return bad_input;
  }
  const std::string wanted = arguments.front();
  arguments.erase(arguments.begin());
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    if (verb.name == wanted) return verb.run(std::move(arguments), io);
    names.emplace_back(verb.name);
  }
  return report(
      {Errc::config_invalid, std::string(command) + ": unknown verb " + wanted + did_you_mean(wanted, names)},
      io);
}

int ended(const Expected<void>& done, Io& io) {
  return done ? ok : report(done.error(), io);
}

Expected<std::optional<std::string>> take_flag(Arguments& arguments, std::string_view flag) {
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    if (at->size() > flag.size() && at->starts_with(flag) && (*at)[flag.size()] == '=') {
      std::string value = at->substr(flag.size() + 1);
      arguments.erase(at);
      return value;
    }
    if (*at != flag) continue;
    if (at + 1 == arguments.end())
      return fail(Errc::config_invalid, std::string(flag) + ": expected a value after it");
    std::string value = *(at + 1);
    arguments.erase(at, at + 2);
    return value;
  }
  return std::nullopt;
}

bool take_switch(Arguments& arguments, std::string_view flag) {
  const auto at = std::find(arguments.begin(), arguments.end(), flag);
  if (at == arguments.end()) return false;
  arguments.erase(at);
  return true;
}

}  // namespace troupe::cli
