// `troupe bench`: load on an OpenAI endpoint, and what came of it.
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <ostream>

#include "common/config/dump.hpp"
#include "common/terminal/interrupt.hpp"
#include "common/terminal/printable.hpp"
#include "common/terminal/progress.hpp"
#include "services/bench/comparison.hpp"
#include "services/bench/endpoint.hpp"
#include "services/bench/foreign_cpu.hpp"
#include "services/bench/report.hpp"
#include "services/cli/bench_output.hpp"
#include "services/cli/bench_settings.hpp"

namespace troupe::cli {
namespace {

using load::RunResult;

/// Warm-up requests are none of those measured, but share their prefixes and documents.
constexpr std::uint64_t kWarmupIndex = std::uint64_t{1} << 32;
constexpr auto kProgressAfter = std::chrono::seconds(2);

class Bench {
 public:
  Bench(BenchSettings settings, std::unique_ptr<load::Workload> workload, Io& io)
      : settings_(std::move(settings)),
        workload_(std::move(workload)),
        io_(io),
        live_(::isatty(STDERR_FILENO) == 1) {
    endpoints_.push_back(&settings_.endpoint);
    if (settings_.versus) endpoints_.push_back(&*settings_.versus);
  }
  Bench(const Bench&) = delete;  // endpoints_ points into it
  Bench& operator=(const Bench&) = delete;

  int run() {
    TROUPE_CHECK(!endpoints_.empty(), "an endpoint");
    for (load::Endpoint* endpoint : endpoints_) {
      if (auto named = choose_model(*endpoint); !named) return report(named.error(), io_);
      if (auto warmed = warm(*endpoint); !warmed) return report(warmed.error(), io_);
    }
    for (const load::Endpoint* endpoint : endpoints_)
      servers_.push_back(settings_.server_pid != 0 ? settings_.server_pid
                                                   : load::listening_process(endpoint->url.port));
    return endpoints_.size() == 2 ? run_comparison() : run_one();
  }

 private:
  int run_one() {
    phase("bench", settings_.requests);
    const auto before = load::read_cpu(servers_);
    auto result = block(settings_.endpoint, 0, "");
    end_progress();
    if (!result) return report(result.error(), io_);
    BenchOutput output{settings_, {}, {}, result->interrupted, foreign_since(before)};
    output.sides.push_back(side(settings_.endpoint, std::move(result->records), result->elapsed));
    return finish(output);
  }

  int run_comparison() {
    phase("bench", settings_.requests * settings_.repeats * 2);
    // One server on both sides: the second block of a pair would find the first one's prompts in its cache.
    const bool same = place(settings_.endpoint.url) == place(settings_.versus->url);
    std::vector<load::Record> records[2];
    Duration elapsed[2]{};
    BenchOutput output{settings_, {}, {}, false, {}};
    for (std::uint64_t repeat = 0; repeat < settings_.repeats && !output.interrupted; ++repeat) {
      load::Repeat pair;
      const auto before = load::read_cpu(servers_);
      for (const int which : load::block_order(repeat)) {
        const std::string mark =
            same ? std::string(which == 0 ? "One" : "Two") + std::to_string(repeat) + ". " : "";
        auto result = block(*endpoints_[static_cast<std::size_t>(which)], repeat * settings_.requests, mark);
        if (!result) return report(result.error(), io_);
        (which == 0 ? pair.first : pair.second) =
            load::summarize(result->records, result->elapsed, settings_.objective);
        std::move(result->records.begin(), result->records.end(), std::back_inserter(records[which]));
        elapsed[which] += result->elapsed;
        done_before_ += settings_.requests;
        output.interrupted = result->interrupted;
        if (output.interrupted) break;
      }
      pair.foreign = foreign_since(before);
      if (!output.interrupted) output.repeats.push_back(std::move(pair));
    }
    end_progress();
    for (const int which : {0, 1})
      output.sides.push_back(
          side(*endpoints_[static_cast<std::size_t>(which)], std::move(records[which]), elapsed[which]));
    return finish(output);
  }

  BenchSide side(const load::Endpoint& endpoint, std::vector<load::Record> records, Duration elapsed) const {
    load::Summary summary = load::summarize(records, elapsed, settings_.objective);
    return {place(endpoint.url), endpoint.settings.model, std::move(records), std::move(summary)};
  }

  std::optional<double> foreign_since(const std::optional<load::CpuReading>& before) const {
    const auto now = load::read_cpu(servers_);
    if (!before || !now) return std::nullopt;
    return load::foreign_share(*before, *now);
  }

  int finish(const BenchOutput& output) {
    io_.out << bench_text(output);
    if (const auto written = write_bench_files(output); !written) return report(written.error(), io_);
    const bool any = std::any_of(output.sides.begin(), output.sides.end(),
                                 [](const BenchSide& each) { return each.summary.good != 0; });
    return any ? ok : failed;
  }

  Expected<void> choose_model(load::Endpoint& endpoint) const {
    if (!endpoint.settings.model.empty()) return {};
    auto model = load::first_model(endpoint.url, endpoint.settings.api_key, interrupt_.fd(), endpoint.trust);
    if (!model) return tl::unexpected<Error>(std::move(model.error()));
    endpoint.settings.model = std::move(*model);
    return {};
  }

  load::Arrivals arrivals(std::uint64_t first_index) const {
    if (!settings_.open_loop) return {};
    if (settings_.rate > 0)
      return load::poisson_arrivals(settings_.rate, settings_.workload.seed + first_index);
    return [this, first_index](std::uint64_t index) -> std::optional<Duration> {
      const auto begin = workload_->recorded_arrival(first_index),
                 at = workload_->recorded_arrival(first_index + index);
      if (!begin || !at) return std::nullopt;
      return Duration(
          static_cast<std::int64_t>(static_cast<double>((*at - *begin).count()) / settings_.speed));
    };
  }

  /// One stretch of requests from `first_index` on.
  Expected<RunResult> block(const load::Endpoint& endpoint, std::uint64_t first_index, std::string mark) {
    load::RunOptions options;
    options.pace = {settings_.requests, settings_.duration, settings_.concurrency, arrivals(first_index)};
    options.first_index = first_index;
    options.mark = std::move(mark);
    options.interrupt_fd = interrupt_.fd();
    options.on_progress = [this](std::uint64_t done, Duration elapsed) { progress(done, elapsed); };
    return load::run_load(endpoint, *workload_, options);
  }

  Expected<void> warm(const load::Endpoint& endpoint) {
    if (settings_.warmup == 0) return {};
    load::RunOptions options;
    options.pace.requests = settings_.warmup;
    options.pace.concurrency = std::min<std::size_t>(settings_.concurrency, settings_.warmup);
    options.first_index = kWarmupIndex;
    options.interrupt_fd = interrupt_.fd();
    options.on_progress = [this](std::uint64_t done, Duration elapsed) { progress(done, elapsed); };
    phase("warm-up", settings_.warmup);
    const auto result = load::run_load(endpoint, *workload_, options);
    end_progress();
    if (!result) return tl::unexpected<Error>(result.error());
    if (result->interrupted) return fail(Errc::cancelled, "stopped before the measurement");
    const bool any =
        std::any_of(result->records.begin(), result->records.end(), [](const auto& r) { return r.good(); });
    if (!any)
      return fail(Errc::io_failed,
                  place(endpoint.url) + " answered no warm-up request: " + result->records.front().error);
    return {};
  }

  /// A bar of `total` requests, or for 0 of the duration, once the phase takes long.
  void phase(const char* what, std::uint64_t total) {
    what_ = what;
    total_ = total;
    done_before_ = 0;
    begin_ = std::chrono::steady_clock::now();
  }
  void progress(std::uint64_t done, Duration elapsed) {
    if (!progress_ && std::chrono::steady_clock::now() - begin_ >= kProgressAfter) {
      const auto total = total_ != 0 ? total_ : milliseconds(settings_.duration);
      progress_ = std::make_unique<Progress>(io_.err, what_, total, live_);
    }
    if (progress_) progress_->update(total_ != 0 ? done_before_ + done : milliseconds(elapsed));
  }
  void end_progress() {
    if (progress_) progress_->finish();
    progress_.reset();
  }
  static std::uint64_t milliseconds(Duration time) {
    return static_cast<std::uint64_t>(time / std::chrono::milliseconds(1));
  }

  BenchSettings settings_;
  std::unique_ptr<load::Workload> workload_;
  Io& io_;
  bool live_;
  InterruptSource interrupt_;
  std::vector<load::Endpoint*> endpoints_;
  std::vector<int> servers_;  ///< processes that answer, where they run on this machine
  std::unique_ptr<Progress> progress_;
  const char* what_ = "";
  TimePoint begin_{};
  std::uint64_t total_ = 0, done_before_ = 0;  ///< requests, for the progress bar
};

void print_help(std::ostream& out) {
  out << "usage: troupe bench [flags]\n\nworkloads\n";
  for (const load::WorkloadEntry& entry : load::builtin_workloads())
    out << "  " << entry.name << std::string(16 - entry.name.size(), ' ') << entry.summary << "\n";
  out << "\n" << help_text_of_flags(bench_schema());
}

}  // namespace

int bench_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    print_help(io.out);
    return ok;
  }
  auto settings = bench_settings(std::move(arguments), io);
  if (!settings) return report(settings.error(), io);
  auto workload = load::make_workload(settings->workload_name, settings->workload);
  if (!workload) return report(workload.error(), io);
  if (settings->open_loop && settings->rate == 0 && !(*workload)->recorded_arrival(0))
    return report({Errc::config_invalid,
                   "--speed: " + settings->workload_name + " has no recorded arrivals, give --rate"},
                  io);
  return Bench(std::move(*settings), std::move(*workload), io).run();
}

}  // namespace troupe::cli
