#include "services/cli/doctor/subject.hpp"

#include "common/config/draft_role.hpp"
#include "common/config/options.hpp"
#include "services/cli/cluster_file.hpp"

namespace troupe::cli::doctor {
namespace {

Expected<Subject> read_one(std::string name, const std::string& role, ConfigSources sources) {
  const auto roles = role_set(role);
  if (!roles) return tl::unexpected<Error>(roles.error());
  if ((*roles & kMembers) == 0) return fail(Errc::config_invalid, role + " is diagnosed by its cluster file");
  sources.role = role;
  auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(std::move(config.error()));
  if (!config->positionals().empty())
    return fail(Errc::config_invalid, "found " + config->positionals().front() + ", expected flags");
  return Subject{std::move(name), role, *roles, std::move(*config)};
}

Expected<Subjects> read_cluster(const Arguments& arguments, const Io& io) {
  const std::string& path = arguments.front();
  for (const std::string& argument : arguments)
    if (argument == "--config" || argument.starts_with("--config="))
      return fail(Errc::config_invalid, "--config: a cluster's options are in " + path);
  const auto root = read_yaml(path);
  if (!root) return tl::unexpected<Error>(root.error());
  const auto file = parse_cluster_file(*root, path);
  if (!file) return tl::unexpected<Error>(file.error());
  // Ports that `up` would look for stay 0: a free one.
  const PortPicker none = [](const std::string&) -> Expected<std::uint16_t> { return std::uint16_t{0}; };
  const auto plan =
      plan_cluster(*file, Arguments(arguments.begin() + 1, arguments.end()), io.environment, none);
  if (!plan) return tl::unexpected<Error>(plan.error());
  Subjects subjects;
  for (const ProcessPlan& process : plan->processes) {
    ConfigSources sources;
    sources.arguments.assign(process.arguments.begin() + 1, process.arguments.end());
    sources.environment = plan->secrets;
    auto subject = read_one(process.name, process.role, std::move(sources));
    if (!subject) return tl::unexpected<Error>(std::move(subject.error()));
    subjects.push_back(std::move(*subject));
  }
  return subjects;
}

}  // namespace

Expected<Subjects> read_subjects(Arguments arguments, const Io& io) {
  if (!arguments.empty() && !arguments.front().starts_with("--")) return read_cluster(arguments, io);
  const auto role = take_flag(arguments, "--role");
  if (!role) return tl::unexpected<Error>(role.error());
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  sources.environment = io.environment;
  const std::string name = role->value_or("serve");
  auto subject = read_one(name, name, std::move(sources));
  if (!subject) return tl::unexpected<Error>(std::move(subject.error()));
  Subjects subjects;
  subjects.push_back(std::move(*subject));
  return subjects;
}

}  // namespace troupe::cli::doctor
