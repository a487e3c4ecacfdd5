// `troupe simulate`: router policies over traces, in virtual time.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <ostream>
#include <sstream>

#include "common/base/log.hpp"
#include "common/config/value.hpp"
#include "common/terminal/interrupt.hpp"
#include "common/terminal/progress.hpp"
#include "services/cli/command.hpp"
#include "services/cli/output_file.hpp"
#include "services/router/policies/policy.hpp"
#include "services/router/simulator/report.hpp"

namespace troupe::cli {
namespace {

using router::SimulationOptions;
using router::SimulationSummary;

constexpr auto kProgressAfter = std::chrono::seconds(2);

constexpr std::string_view kHelp =
    "usage: troupe simulate [flags]\n\n"
    "Places a trace's requests over simulated workers with the router's own code, in virtual time.\n\n"
    "  --trace FILE        Mooncake's JSON lines, given again for more; none: a small generated chat trace\n"
    "  --requests N        of each trace at most (all)\n"
    "  --scale X           of lengths and blocks, 1/32 makes 512-token blocks 16-token ones (1)\n"
    "  --policy A,B,...    names, all, or oracle: it knows the length of every answer (predicted_ttft)\n"
    "  --load X,Y,...      of what the workers compute when nothing is cached (0.5)\n"
    "  --stretch X         of the trace's arrival times, in place of --load: 1 is as recorded\n"
    "  --workers N         up to 1000 (8)\n"
    "  --prefill-workers N of these, compute prompts for the others (0)\n"
    "  --routers N         requests turn over them (1)\n"
    "  --speed X,Y,...     of the workers, in turn (1)\n"
    "  --pages N           of 64 tokens on each worker (7168)\n"
    "  --budget N          rows that prompts fill a step up to, the streams' counted (512)\n"
    "  --chunk N           tokens of one prompt in one step (512)\n"
    "  --step B,P,R,K,A    microseconds of a step, a prompt token, a decode row, a token of context and, if "
    "given,\n"
    "                      of a prompt token attending to one before it "
    "(8000,80,30,0.065)\n"
    "  --noise X           of the time of a step: standard deviation of its logarithm (0)\n"
    "  --line T            from one process to another, one way (500us)\n"
    "  --transfer X        microseconds of a token's pages between two workers (2)\n"
    "  --assumed-transfer X what routers take it for until they have learnt (as --transfer)\n"
    "  --min-fetch-tokens N of a prompt that another worker must hold to be asked for them (256)\n"
    "  --baselines-fetch   policies that predict nothing fetch too, whatever it takes\n"
    "  --kill N            deaths of random workers, each back after ten seconds (0)\n"
    "  --lose-events P     share of cache events that are lost, as many doubled, as many overtaken (0)\n"
    "  --first-token-slo T objective the router itself refuses by (none)\n"
    "  --slo-first-token T of a good request (5s)\n"
    "  --slo-between T     mean time between its tokens (100ms)\n"
    "  --seed N            (1)\n"
    "  --json FILE         figures; - is standard output instead of the table\n"
    "  --outcomes FILE     a line of JSON per request: when it came, where it went, what it waited for\n"
    "  --svg FILE          time to first token, a curve per policy\n";

struct Settings {
  std::vector<router::Trace> traces;
  std::vector<std::string> policies;
  std::vector<double> loads;
  SimulationOptions options;
  router::Objectives objectives;
  std::uint64_t kills = 0;
  std::string json, outcomes, svg;
};

Expected<std::vector<double>> take_list(Arguments& arguments, std::string_view flag,
                                        std::vector<double> otherwise, double low, double high) {
  const auto text = take_flag(arguments, flag);
  if (!text) return tl::unexpected<Error>(text.error());
  if (!*text) return otherwise;
  std::vector<double> out;
  std::istringstream in(**text);
  for (std::string part; std::getline(in, part, ',');) {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !(value >= low && value <= high)) {
      std::ostringstream detail;
      detail << flag << ": expected numbers from " << low << " to " << high << ", found \"" << part << "\"";
      return fail(Errc::config_invalid, detail.str());
    }
    out.push_back(value);
  }
  if (out.empty()) return fail(Errc::config_invalid, std::string(flag) + ": expected a number");
  return out;
}

Expected<double> take_one(Arguments& arguments, std::string_view flag, double otherwise, double low,
                          double high) {
  const auto list = take_list(arguments, flag, {otherwise}, low, high);
  if (!list) return tl::unexpected<Error>(list.error());
  if (list->size() != 1) return fail(Errc::config_invalid, std::string(flag) + ": expected one number");
  return list->front();
}

/// Reads flags one after the other; the first error stays.
class Reader {
 public:
  explicit Reader(Arguments& arguments) : arguments_(arguments) {}
  double number(std::string_view flag, double otherwise, double low, double high) {
    return keep(take_one(arguments_, flag, otherwise, low, high), otherwise);
  }
  std::size_t count(std::string_view flag, double otherwise, double low, double high) {
    return static_cast<std::size_t>(number(flag, otherwise, low, high));
  }
  std::vector<double> numbers(std::string_view flag, std::vector<double> otherwise, double low, double high) {
    return keep(take_list(arguments_, flag, otherwise, low, high), otherwise);
  }
  std::optional<std::string> text(std::string_view flag) {
    return keep(take_flag(arguments_, flag), std::optional<std::string>());
  }
  std::optional<Duration> time(std::string_view flag) {
    const auto given = text(flag);
    if (!given) return std::nullopt;
    return keep(parse_duration(*given).map([](Duration d) { return std::optional(d); }),
                std::optional<Duration>());
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  template <class T>
  T keep(Expected<T> read, T otherwise) {
    if (read) return std::move(*read);
    if (!error_) error_ = read.error();
    return otherwise;
  }
  Arguments& arguments_;
  std::optional<Error> error_;
};

Expected<std::vector<std::string>> read_policies(const std::string& text) {
  std::vector<std::string> all;
  for (const auto& entry : router::builtin_router_policies()) all.emplace_back(entry.name);
  all.emplace_back("oracle");
  if (text == "all") return all;
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) {
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      std::string known;
      for (const std::string& each : all) known += (known.empty() ? "" : ", ") + each;
      return fail(Errc::config_invalid, "--policy: \"" + name + "\" is not one of " + known);
    }
    out.push_back(name);
  }
  return out;
}

void read_workers(Reader& read, SimulationOptions& options) {
  const std::size_t workers = read.count("--workers", 8, 1, 1000),
                    prefill = read.count("--prefill-workers", 0, 0, 999);
  const auto speeds = read.numbers("--speed", {1}, 0.01, 100);
  router::WorkerSpec spec;
  spec.pages = static_cast<std::uint32_t>(read.count("--pages", spec.pages, 64, 1e7));
  spec.budget_tokens = static_cast<std::uint32_t>(read.count("--budget", spec.budget_tokens, 1, 1e6));
  spec.chunk_tokens = static_cast<std::uint32_t>(read.count("--chunk", spec.chunk_tokens, 1, 1e6));
  const auto step = read.numbers(
      "--step", {spec.step.base, spec.step.prompt_token, spec.step.row, spec.step.kv_token}, 0, 1e9);
  if (step.size() == 4 || step.size() == 5)
    spec.step = {step[0], step[1], step[2], step[3], step.size() == 5 ? step[4] : 0};
  for (std::size_t i = 0; i < workers; ++i) {
    spec.speed = speeds[i % speeds.size()];
    spec.role = i < std::min(prefill, workers - 1) ? wire::Role::prefill : wire::Role::decode;
    options.workers.push_back(spec);
  }
}

Expected<void> read_traces(Reader& read, Settings& settings) {
  const double scale = read.number("--scale", 1, 1.0 / 512, 1);
  while (const auto file = read.text("--trace")) {
    auto trace = router::read_trace(*file, scale);
    if (!trace) return tl::unexpected<Error>(trace.error());
    settings.traces.push_back(std::move(*trace));
  }
  if (settings.traces.empty()) settings.traces.push_back(router::chat_trace({}));
  return {};
}

Expected<Settings> read_settings(Arguments arguments) {
  Settings settings;
  Reader read(arguments);
  TROUPE_TRY(read_traces(read, settings));
  SimulationOptions& options = settings.options;
  read_workers(read, options);
  settings.loads = read.numbers("--load", {0.5}, 0.001, 1000);
  options.stretch = read.number("--stretch", 0, 0.0001, 10000);
  options.routers = read.count("--routers", 1, 1, 64);
  options.max_requests = read.count("--requests", 0, 0, 1e9);
  options.seed = read.count("--seed", 1, 0, 1e15);
  options.step_noise = read.number("--noise", 0, 0, 2);
  options.line = read.time("--line").value_or(options.line);
  options.transfer_token_us = read.number("--transfer", options.transfer_token_us, 0.001, 1e6);
  options.assumed_transfer_token_us = read.number("--assumed-transfer", 0, 0, 1e6);
  options.baselines_fetch = take_switch(arguments, "--baselines-fetch");
  options.min_fetch_tokens = static_cast<std::uint32_t>(read.count("--min-fetch-tokens", 256, 1, 1e9));
  settings.kills = read.count("--kill", 0, 0, 1e5);
  const double faults = read.number("--lose-events", 0, 0, 0.9);
  options.faults = {faults, faults, faults};
  options.first_token_slo = read.time("--first-token-slo");
  settings.objectives.first_token = read.time("--slo-first-token").value_or(settings.objectives.first_token);
  settings.objectives.between_tokens =
      read.time("--slo-between").value_or(settings.objectives.between_tokens);
  settings.json = read.text("--json").value_or("");
  settings.outcomes = read.text("--outcomes").value_or("");
  settings.svg = read.text("--svg").value_or("");
  auto policies = read_policies(read.text("--policy").value_or("predicted_ttft"));
  if (read.error()) return tl::unexpected<Error>(*read.error());
  if (!policies) return tl::unexpected<Error>(policies.error());
  settings.policies = std::move(*policies);
  if (!arguments.empty())
    return fail(Errc::config_invalid,
                "simulate does not know \"" + arguments.front() + "\"; see troupe simulate --help");
  return settings;
}

class Simulate {
 public:
  Simulate(Settings settings, Io& io)
      : settings_(std::move(settings)), io_(io), live_(::isatty(STDERR_FILENO) == 1) {}

  int run() {
    log::Options quiet;
    quiet.level = log::Level::off;  // joins and deaths are simulated ones
    log::configure(quiet);
    for (const router::Trace& trace : settings_.traces)
      total_ += requests_of(trace) * settings_.loads.size() * settings_.policies.size();
    for (const router::Trace& trace : settings_.traces)
      for (const double load : settings_.loads)
        for (const std::string& policy : settings_.policies) {
          const auto done = one(trace, load, policy);
          if (!done) return report(done.error(), io_);
          if (!*done) return finish(failed);
        }
    return finish(ok);
  }

 private:
  [[nodiscard]] std::size_t requests_of(const router::Trace& trace) const {
    const std::size_t most = settings_.options.max_requests;
    return most == 0 ? trace.requests.size() : std::min(most, trace.requests.size());
  }

  /// false: interrupted.
  Expected<bool> one(const router::Trace& trace, double load, const std::string& policy) {
    SimulationOptions options = settings_.options;
    options.load = load;
    if (options.stretch > 0) options.load = load_of(trace, options);
    options.policy = policy;
    options.deaths = deaths(trace, options);
    options.on_progress = [this](std::uint64_t done) { progress(before_ + done); };
    options.stop = [this] { return interrupted(); };
    const auto result = router::simulate(trace, options);
    if (!result) return tl::unexpected<Error>(result.error());
    before_ += requests_of(trace);
    if (result->interrupted) return false;
    summaries_.push_back(router::summarize(trace, options, *result, settings_.objectives));
    if (!settings_.outcomes.empty()) outcomes_ += router::outcomes_jsonl(summaries_.back(), *result);
    return true;
  }

  /// What --stretch makes the workers' load.
  static double load_of(const router::Trace& trace, SimulationOptions options) {
    const double stretch = std::exchange(options.stretch, 0);
    options.load = 1;
    return router::arrival_stretch(trace, options) / stretch;
  }

  [[nodiscard]] std::vector<router::Death> deaths(const router::Trace& trace,
                                                  const SimulationOptions& options) const {
    const double stretch = router::arrival_stretch(trace, options);
    const double span =
        stretch * std::chrono::duration<double>(trace.requests[requests_of(trace) - 1].arrives).count();
    std::vector<router::Death> out;
    for (std::uint64_t i = 0; i < settings_.kills; ++i) {
      const double at = span * (static_cast<double>(i) + 1) / (static_cast<double>(settings_.kills) + 1);
      out.push_back({std::chrono::microseconds(static_cast<std::int64_t>(at * 1e6)),
                     static_cast<std::size_t>((i * 7919 + options.seed) % options.workers.size())});
    }
    return out;
  }

  void progress(std::uint64_t done) {
    if (!progress_ && std::chrono::steady_clock::now() - begin_ >= kProgressAfter)
      progress_ = std::make_unique<Progress>(io_.err, "simulate", total_, live_);
    if (progress_) progress_->update(done);
  }

  [[nodiscard]] bool interrupted() const {
    pollfd fd{interrupt_.fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) > 0;
  }

  int finish(int code) {
    log::configure({});
    if (progress_) progress_->finish();
    if (settings_.json == "-") {
      io_.out << router::summaries_json(summaries_);
    } else {
      io_.out << router::table_text(summaries_) << "\n" << router::bars_text(summaries_);
      if (!settings_.json.empty())
        if (const auto written = write_file(settings_.json, router::summaries_json(summaries_)); !written)
          return report(written.error(), io_);
    }
    if (!settings_.outcomes.empty())
      if (const auto written = write_file(settings_.outcomes, outcomes_); !written)
        return report(written.error(), io_);
    if (!settings_.svg.empty()) {
      const std::string title = summaries_.empty() ? "" : summaries_.front().trace + ": time to first token";
      if (const auto written = write_file(settings_.svg, router::first_tokens_svg(title, summaries_));
          !written)
        return report(written.error(), io_);
    }
    return code;
  }

  Settings settings_;
  Io& io_;
  bool live_;
  InterruptSource interrupt_;
  std::unique_ptr<Progress> progress_;
  const TimePoint begin_ = std::chrono::steady_clock::now();
  std::uint64_t before_ = 0, total_ = 0;
  std::vector<SimulationSummary> summaries_;
  std::string outcomes_;
};

}  // namespace

int simulate_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << "\npolicies\n";
    for (const auto& entry : router::builtin_router_policies())
      io.out << "  " << entry.name << std::string(18 - entry.name.size(), ' ') << entry.summary << " ("
             << entry.source << ")\n";
    return ok;
  }
  auto settings = read_settings(std::move(arguments));
  if (!settings) return report(settings.error(), io);
  return Simulate(std::move(*settings), io).run();
}

}  // namespace troupe::cli
