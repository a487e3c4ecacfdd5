#include <ostream>

#include "common/config/dump.hpp"
#include "common/config/options.hpp"
#include "services/cli/cluster_file.hpp"
#include "services/cli/notify.hpp"
#include "services/cli/supervisor.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe up cluster.yaml [--plan] [flags]\n\n"
    "Starts one process per role of the file, restarts what dies, drains gateways, workers and router on "
    "SIGTERM or Ctrl-C.\n"
    "--plan prints each process's command line and starts nothing. Flags go to the processes whose role uses "
    "them.\n\n";

Expected<ClusterPlan> read_plan(Arguments arguments, const Io& io) {
  if (arguments.empty() || arguments.front().starts_with("--"))
    return fail(Errc::config_invalid, "expected: troupe up cluster.yaml [flags]");
  const std::string path = arguments.front();
  arguments.erase(arguments.begin());
  for (const std::string& argument : arguments)
    if (argument == "--config" || argument.starts_with("--config="))
      return fail(Errc::config_invalid, "--config: up takes its options from " + path);
  const auto root = read_yaml(path);
  if (!root) return tl::unexpected<Error>(root.error());
  const auto file = parse_cluster_file(*root, path);
  if (!file) return tl::unexpected<Error>(file.error());
  return plan_cluster(*file, arguments, io.environment, free_port_picker());
}

}  // namespace

int up_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << help_text(product_schema());
    return ok;
  }
  const bool plan_only = take_switch(arguments, "--plan");
  const auto plan = read_plan(std::move(arguments), io);
  if (!plan) return report(plan.error(), io);
  if (plan_only) {
    for (const ProcessPlan& process : plan->processes) {
      io.out << process.name << ":";
      for (const std::string& argument : process.arguments) io.out << " " << argument;
      io.out << "\n";
    }
    return ok;
  }
  SupervisorOptions options;
  options.executable = own_executable();
  options.environment = io.environment;
  for (const auto& [name, value] : plan->secrets) {
    std::erase_if(options.environment,
                  [&](const auto& pair) { return pair.first == name || pair.first == name + std::string(kSecretFileSuffix); });
    options.environment.emplace_back(name, value);
  }
  options.on_all_ready = [&] {
    for (const std::string& url : plan->urls) io.out << "ready: " << url << "\n" << std::flush;
    notify_ready();
  };
  const auto code = run_supervisor(*plan, options, io.out);
  return code ? *code : report(code.error(), io);
}

}  // namespace troupe::cli
