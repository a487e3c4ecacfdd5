#pragma once
// The file of `troupe up`: which processes a cluster on this machine has, and what each gets as flags.
//
//   host: 127.0.0.1            # every process listens here
//   options:                   # for all processes; keys as in `troupe config print`
//     model: [smollm2-135m-instruct]
//   processes:
//     - role: router           # at least one router, one gateway and one decode worker, any number of
//     prefill workers and draft services, which decode workers are told of
//       port: 7400             # control port; 0 or absent: a free one
//     - role: decode
//       name: decode-a         # absent: the role, numbered when there are several
//       count: 2               # absent: 1; more than one wants ports 0
//       port: 0
//       data_port: 0           # workers: where KV pages arrive
//       options: {engine: {threads: 1}}   # for this process; stronger than those above
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {

struct ProcessEntry {
  std::string name;
  std::string role;
  std::uint16_t port = 0;
  std::uint16_t data_port = 0;
  YamlNode options;
};

struct ClusterFile {
  std::string file;  ///< for errors
  std::string host = "127.0.0.1";
  YamlNode options;
  std::vector<ProcessEntry> processes;  ///< counts already multiplied out
};

/// Errors: config_invalid with file, line, what was found and expected; an unknown key suggests the nearest.
[[nodiscard]] Expected<ClusterFile> parse_cluster_file(const YamlNode& root, const std::string& file);

struct ProcessPlan {
  std::string name;
  std::string role;
  std::vector<std::string> arguments;  ///< the role and its flags
  std::string place;                   ///< "127.0.0.1:7400", or the URL of a gateway
};

struct ClusterPlan {
  std::vector<ProcessPlan> processes;  ///< routers first, then draft services, workers, gateways
  std::vector<std::string> urls;       ///< of the gateways' APIs
  Config supervisor;                   ///< the options `up` itself uses
  std::vector<std::pair<std::string, std::string>> secrets = {};  ///< variables for every process
};

/// Finds a free port of a host. Errors: io_failed.
using PortPicker = std::function<Expected<std::uint16_t>(const std::string& host)>;

/// Works out every process's flags: what flags and environment say beats the process's options, and those
/// beat the common ones. The addresses that tie the processes together come from the file alone. Errors:
/// config_invalid, and those of `pick`.
[[nodiscard]] Expected<ClusterPlan> plan_cluster(
    const ClusterFile& file, const Arguments& flags,
    const std::vector<std::pair<std::string, std::string>>& environment, const PortPicker& pick);

/// A picker that never gives a port twice while it lives.
[[nodiscard]] PortPicker free_port_picker();

}  // namespace troupe::cli
