// `troupe plan`: traffic, a worker and objectives to the number of workers, by simulation.
#include <poll.h>
#include <unistd.h>

#include <ostream>

#include "common/base/log.hpp"
#include "common/config/dump.hpp"
#include "common/terminal/interrupt.hpp"
#include "services/cli/capacity_plan.hpp"
#include "services/cli/output_file.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe plan [flags]\n\n"
    "Says how many workers some traffic needs: simulates clusters of growing size with the router's own code "
    "(troupe simulate) until\n"
    "the least is found whose requests meet the objectives. Every worker computes prompts and answers. Ends "
    "with "
    "1 when not even\n"
    "--workers-max do. Every table row is one simulation.\n\n";

bool readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) > 0;
}

Expected<router::CapacityAnswer> search(const CapacityPlan& plan, Io& io) {
  const bool live = ::isatty(STDERR_FILENO) == 1;
  const InterruptSource interrupt;
  router::SimulationOptions options = plan.options;
  options.stop = [&interrupt] { return readable(interrupt.fd()); };
  log::Options quiet;
  quiet.level = log::Level::off;  // joins are simulated ones
  log::configure(quiet);
  auto answer = router::least_workers(plan.goal.most_workers, [&](std::size_t workers) {
    if (live) io.err << "simulating " << workers << (workers == 1 ? " worker\n" : " workers\n") << std::flush;
    return router::try_workers(plan.trace, options, plan.goal, workers);
  });
  log::configure({});
  return answer;
}

}  // namespace

int plan_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << help_text_of_flags(plan_schema());
    return ok;
  }
  const auto plan = read_capacity_plan(std::move(arguments), io);
  if (!plan) return report(plan.error(), io);
  const auto answer = search(*plan, io);
  if (!answer) return report(answer.error(), io);
  const std::string json = router::capacity_json(*answer, plan->page_bytes);
  if (plan->json == "-") {
    io.out << json;
  } else {
    io.out << router::capacity_table(*answer) << "\n" << capacity_verdict(*plan, *answer);
    if (!plan->json.empty())
      if (const auto written = write_file(plan->json, json); !written) return report(written.error(), io);
  }
  return answer->workers ? ok : failed;
}

}  // namespace troupe::cli
