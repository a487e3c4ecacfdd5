// `troupe doctor`: whether this machine is fit for what the configuration asks of it.
#include <ostream>

#include "common/base/log.hpp"
#include "common/config/dump.hpp"
#include "common/config/options.hpp"
#include "services/cli/command.hpp"
#include "services/cli/doctor/checks.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe doctor [cluster.yaml | --role serve|gateway|router|prefill|decode|draft] [--json] [flags]\n\n"
    "Says whether this machine is fit for a role (serve, when none is named), or for all processes of a "
    "cluster file: processor,\n"
    "memory, ports, clock, Redis, model files and the rest, each with what to do about it. Ends with 1 when "
    "there is a problem, with\n"
    "0 when there are warnings at most. Nothing is changed. Variables, file and flags are those of the "
    "role.\n\n"
    "  --json  the same for programs\n\n";

}  // namespace

int doctor_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << help_text(product_schema());
    return ok;
  }
  const bool json = take_switch(arguments, "--json");
  const auto subjects = doctor::read_subjects(std::move(arguments), io);
  if (!subjects) return report(subjects.error(), io);
  log::Options quiet;
  quiet.level = log::Level::off;  // what the checks meet is in their findings
  log::configure(quiet);
  const doctor::Findings findings = doctor::examine(*subjects, *doctor::this_machine());
  log::configure({});
  io.out << (json ? doctor::findings_json(findings) : doctor::findings_text(findings));
  return doctor::count(findings, doctor::Level::problem) == 0 ? ok : failed;
}

}  // namespace troupe::cli
