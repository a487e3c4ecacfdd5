#pragma once
// What `troupe bench` shows and writes.
#include <optional>
#include <string>
#include <vector>

#include "services/bench/comparison.hpp"
#include "services/bench/record.hpp"
#include "services/cli/bench_settings.hpp"

namespace troupe::cli {

struct BenchSide {
  std::string place, model;
  std::vector<load::Record> records;
  load::Summary summary;
};

struct BenchOutput {
  const BenchSettings& settings;
  std::vector<BenchSide> sides;       ///< one, or two of a comparison
  std::vector<load::Repeat> repeats;  ///< of a comparison
  bool interrupted = false;
  std::optional<double> foreign;  ///< of a run that compares nothing
};

[[nodiscard]] std::string bench_text(const BenchOutput& output);
[[nodiscard]] std::string bench_json(const BenchOutput& output);
[[nodiscard]] std::string bench_svg(const BenchOutput& output);

/// Those of --json and --svg. Errors: io_failed.
[[nodiscard]] Expected<void> write_bench_files(const BenchOutput& output);

}  // namespace troupe::cli
