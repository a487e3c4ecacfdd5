#include "services/cli/bench_output.hpp"

#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "common/terminal/printable.hpp"
#include "services/bench/plot.hpp"
#include "services/bench/report.hpp"
#include "services/cli/output_file.hpp"

namespace troupe::cli {
namespace {

using nlohmann::ordered_json;

/// "64 requests, 8 at a time, seed 1"
std::string load_text(const BenchSettings& s) {
  std::array<char, 160> text{};
  const auto seed = static_cast<unsigned long long>(s.workload.seed);
  if (s.rate > 0)
    std::snprintf(text.data(), text.size(), "%g Poisson arrivals a second, seed %llu", s.rate, seed);
  else if (s.open_loop)
    std::snprintf(text.data(), text.size(), "recorded arrivals at %g times their speed, seed %llu", s.speed,
                  seed);
  else
    std::snprintf(text.data(), text.size(), "%zu at a time, seed %llu", s.concurrency, seed);
  return text.data();
}

std::string side_name(const BenchSide& side) {
  return printable(side.model) + " at " + side.place;
}

/// Names for columns and legends: the places, or where those are one, first and second.
std::array<std::string, 2> short_names(const BenchOutput& output) {
  if (output.sides[0].place != output.sides[1].place) return {output.sides[0].place, output.sides[1].place};
  return {"first", "second"};
}

ordered_json settings_json(const BenchSettings& s) {
  return {{"workload", s.workload_name},
          {"seed", s.workload.seed},
          {"requests", s.requests},
          {"load", load_text(s)},
          {"file", s.workload.file},
          {"scale", s.workload.scale},
          {"answer_scale", s.workload.answer_scale},
          {"warmup", s.warmup},
          {"concurrency", s.concurrency},
          {"rate", s.rate},
          {"speed", s.speed},
          {"ignore_eos", s.endpoint.settings.ignore_eos}};
}

}  // namespace

std::string bench_text(const BenchOutput& output) {
  std::string text;
  for (const BenchSide& side : output.sides) {
    text += output.settings.workload_name + " on " + side_name(side) + ", " + load_text(output.settings) +
            (output.interrupted ? ", STOPPED EARLY" : "") + "\n\n" +
            load::summary_text(side.summary, output.settings.objective) + "\n";
    if (output.sides.size() > 1) continue;
    text += load::histogram_text("time to first token", side.summary.first_token, 10) + "\n" +
            load::histogram_text("between tokens", side.summary.gap, 10);
  }
  if (output.sides.size() == 2 && !output.repeats.empty()) {
    const auto names = short_names(output);
    text += load::comparison_text(load::compare(output.repeats, output.settings.workload.seed), names[0],
                                  names[1]);
  }
  if (output.foreign && *output.foreign > load::kForeignLimit) {
    std::array<char, 96> note{};
    std::snprintf(note.data(), note.size(), "\nMARKED: %.1f %% of the machine went to others meanwhile\n",
                  100 * *output.foreign);
    text += note.data();
  }
  return text;
}

std::string bench_json(const BenchOutput& output) {
  ordered_json out{{"settings", settings_json(output.settings)}, {"interrupted", output.interrupted}};
  if (output.foreign) out["foreign_share"] = *output.foreign;
  out["endpoints"] = ordered_json::array();
  for (const BenchSide& side : output.sides)
    out["endpoints"].push_back(
        {{"place", side.place},
         {"model", side.model},
         {"summary", ordered_json::parse(load::summary_json(side.summary, output.settings.objective))},
         {"records", ordered_json::parse(load::records_json(side.records))}});
  if (!output.repeats.empty())
    out["comparison"] = ordered_json::parse(
        load::comparison_json(load::compare(output.repeats, output.settings.workload.seed), output.repeats));
  return out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string bench_svg(const BenchOutput& output) {
  std::vector<load::PlotSeries> series;
  for (const BenchSide& side : output.sides) series.push_back({side_name(side), &side.summary});
  if (series.size() == 2 && series[0].name == series[1].name)
    series[0].name += " (first)", series[1].name += " (second)";
  std::uint64_t requests = 0;
  for (const BenchSide& side : output.sides) requests += side.summary.requests;
  return load::distributions_svg({"troupe bench: " + output.settings.workload_name,
                                  std::to_string(requests) + " requests, " + load_text(output.settings)},
                                 series);
}

Expected<void> write_bench_files(const BenchOutput& output) {
  if (!output.settings.json_file.empty())
    TROUPE_TRY(write_file(output.settings.json_file, bench_json(output)));
  if (!output.settings.svg_file.empty()) TROUPE_TRY(write_file(output.settings.svg_file, bench_svg(output)));
  return {};
}

}  // namespace troupe::cli
