#pragma once
// The flags of `troupe bench` as what services/bench takes.
#include <optional>
#include <string>

#include "common/config/schema.hpp"
#include "services/bench/driver.hpp"
#include "services/bench/summary.hpp"
#include "services/bench/workload.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {

struct BenchSettings {
  load::Endpoint endpoint;
  std::optional<load::Endpoint> versus;
  std::string workload_name;
  load::WorkloadOptions workload;
  load::Objective objective;
  std::uint64_t requests = 0;
  Duration duration{};
  std::size_t concurrency = 0;
  bool open_loop = false;  ///< arrivals, from `rate` or a trace
  double rate = 0;         ///< 0: the trace's own
  double speed = 1;
  std::uint64_t warmup = 0;
  std::uint64_t repeats = 0;  ///< of a comparison
  int server_pid = 0;
  std::string json_file, svg_file;
};

[[nodiscard]] const Schema& bench_schema();

/// Errors: config_invalid, invalid_argument for a URL.
[[nodiscard]] Expected<BenchSettings> bench_settings(Arguments arguments, const Io& io);

}  // namespace troupe::cli
