#pragma once
// The processes, signals and clock around Supervision.
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.hpp"
#include "services/cli/cluster_file.hpp"

namespace troupe::cli {

/// The file this process runs: by its name, so that `ps` shows it.
[[nodiscard]] std::string own_executable();

struct SupervisorOptions {
  std::string executable;                                        ///< of every process
  std::vector<std::pair<std::string, std::string>> environment;  ///< of the processes; NOTIFY_SOCKET is added
  std::function<void()> on_all_ready;                            ///< each time the last one became ready
};

/// Starts every process of the plan and keeps them until SIGTERM, SIGINT or SIGHUP has drained all, or one
/// cannot run. Lines of what happens go to `out`. Returns an ExitCode. Errors: io_failed when the supervision
/// itself cannot be set up. Threads: the main one, the only one; children die with it.
[[nodiscard]] Expected<int> run_supervisor(const ClusterPlan& plan, const SupervisorOptions& options,
                                           std::ostream& out);

}  // namespace troupe::cli
