#include <unistd.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "services/bench/engine/engine_bench.hpp"
#include "services/cli/bench_flags.hpp"
#include "common/terminal/progress.hpp"
#include "common/terminal/table.hpp"

namespace troupe::cli {
namespace {

using bench::EngineReport;
using bench::EngineRow;
using bench::EngineSample;

constexpr std::string_view kHelp =
    "usage: troupe bench engine [flags]\n\n"
    "Prefill and decode of one engine without HTTP. Beside each figure stands what the machine itself can do, measured in the\n"
    "same repeats with the same threads: bytes a second read from a buffer as large as the packed weights, and 8-bit integer\n"
    "multiply-adds of the instruction set in use; and the share of each that was reached. OVERHEAD is the time outside backend\n"
    "ops. A repeat counts only when others took under 2 % of the machine meanwhile.\n\n";
constexpr std::string_view kFlags =
    "  --prefill N        tokens of the prompt (512)\n"
    "  --streams N,N,...  streams decoded together (1,8,32)\n"
    "  --context N        mean context while decoding (160)\n"
    "  --steps N          decode steps of a repeat (64)\n"
    "  --repeats N        that count (5)\n"
    "  --noisy            count every repeat\n"
    "  --json             JSON with every repeat instead of the table\n";

double speed(const EngineSample& s) { return s.tokens_per_second; }

nlohmann::json to_json(const EngineRow& row) {
  nlohmann::json samples = nlohmann::json::array();
  for (const EngineSample& s : row.kept) {
    nlohmann::json kinds;
    for (std::size_t i = 0; i < bench::kOpKinds; ++i)
      kinds[std::string(bench::op_kind_name(static_cast<bench::OpKind>(i)))] = s.ops.seconds[i];
    samples.push_back({{"tokens_per_second", s.tokens_per_second},
                       {"neighbours", s.neighbours},
                       {"read_bandwidth", s.read_bandwidth},
                       {"multiply_adds", s.multiply_adds},
                       {"read_share", s.read_share},
                       {"multiply_share", s.multiply_share},
                       {"overhead", s.overhead},
                       {"op_seconds", kinds}});
  }
  return {{"name", row.name},
          {"streams", row.streams},
          {"context", row.context},
          {"tokens_per_second", row.typical(speed)},
          {"read_share", row.typical([](const EngineSample& s) { return s.read_share; })},
          {"multiply_share", row.typical([](const EngineSample& s) { return s.multiply_share; })},
          {"overhead", row.typical([](const EngineSample& s) { return s.overhead; })},
          {"discarded", row.discarded},
          {"repeats", std::move(samples)}};
}

nlohmann::json to_json(const EngineReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const EngineRow& row : report.rows) rows.push_back(to_json(row));
  return {{"model", report.model},     {"device", report.device},
          {"numerics", report.numerics}, {"threads", report.threads},
          {"weight_bytes", report.weight_bytes}, {"rows", std::move(rows)}};
}

std::string kind_shares(const EngineRow& row) {
  std::string text;
  for (std::size_t i = 0; i < bench::kOpKinds; ++i) {
    const double share = row.typical([&](const EngineSample& s) { return s.ops.seconds[i] / s.ops.total_seconds(); });
    if (share < 0.005) continue;
    text.append(text.empty() ? "" : ", ").append(bench::op_kind_name(static_cast<bench::OpKind>(i)));
    text.append(" ").append(percent_text(share));
  }
  return text;
}

void print(const EngineReport& report, std::ostream& out) {
  out << report.model << " on " << report.device << ", " << decimal(static_cast<double>(report.weight_bytes) / 1e6, 1)
      << " MB of packed weights\n\n";
  Table table({"ROW", "CONTEXT", "TOK/S", "READ GB/S", "OF LIMIT", "MUL-ADD G/S", "OF LIMIT", "OVERHEAD", "TIME IN OPS", "REPEATS"});
  for (const EngineRow& row : report.rows) {
    if (row.kept.empty()) {
      table.add({row.name, "", "none was quiet", "", "", "", "", "", "", "0 of " + std::to_string(row.discarded)});
      continue;
    }
    const auto typical = [&](auto member) { return row.typical([&](const EngineSample& s) { return s.*member; }); };
    table.add({row.name, decimal(row.context, 0), decimal(row.typical(speed), 1),
               decimal(typical(&EngineSample::read_bandwidth) / 1e9, 1), percent_text(typical(&EngineSample::read_share)),
               decimal(typical(&EngineSample::multiply_adds) / 1e9, 0), percent_text(typical(&EngineSample::multiply_share)),
               percent_text(typical(&EngineSample::overhead)), kind_shares(row),
               std::to_string(row.kept.size()) + " of " + std::to_string(row.kept.size() + row.discarded)});
  }
  out << table.text();
}

Expected<bench::EngineBenchOptions> take_options(Arguments& arguments) {
  bench::EngineBenchOptions options;
  options.noisy = take_switch(arguments, "--noisy");
  struct Number {
    const char* flag;
    std::uint32_t* value;
    std::uint32_t low, high;
  };
  for (const Number& number : {Number{"--prefill", &options.prefill_tokens, 1, 1u << 20},
                               Number{"--context", &options.context, 4, 1u << 20},
                               Number{"--steps", &options.decode_steps, 2, 1u << 16},
                               Number{"--repeats", &options.repeats, 1, 1000}}) {
    const auto value = take_number(arguments, number.flag, *number.value, number.low, number.high);
    if (!value) return tl::unexpected<Error>(value.error());
    *number.value = *value;
  }
  auto streams = take_numbers(arguments, "--streams", options.streams, 1, 256);
  if (!streams) return tl::unexpected<Error>(streams.error());
  options.streams = std::move(*streams);
  return options;
}

}  // namespace

int bench_engine_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << kBenchModelHelp << kFlags;
    return ok;
  }
  const bool json = take_switch(arguments, "--json");
  auto options = take_options(arguments);
  if (!options) return report(options.error(), io);
  const auto model = take_bench_model(arguments, io);
  if (!model) return report(model.error(), io);
  if (!arguments.empty()) return report({Errc::config_invalid, "bench engine: unexpected " + arguments.front()}, io);
  options->cpu = model->cpu;
  Progress progress(io.err, "measuring " + model->name, 1000, ::isatty(STDERR_FILENO) == 1);
  const auto result = bench::run_engine_bench(model->model, *options, [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 1000));
  });
  progress.finish();
  if (!result) return report(result.error(), io);
  if (json)
    io.out << to_json(*result).dump(2) << "\n";
  else
    print(*result, io.out);
  return ok;
}

}  // namespace troupe::cli
