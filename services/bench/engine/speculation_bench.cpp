#include "services/bench/engine/speculation_bench.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "common/draft/host_source.hpp"
#include "common/draft/vocabulary_id.hpp"
#include "common/engine/engine.hpp"
#include "common/engine/model_runner.hpp"
#include "services/bench/engine/statistics.hpp"

namespace troupe::bench {
namespace {

using engine::Engine;

constexpr std::uint32_t kTokenBudget = 512;

/// One pass over a workload's prompts.
struct Pass {
  double seconds = 0;
  std::uint64_t tokens = 0, stream_steps = 0;  ///< from the moment all streams run
  std::uint64_t drafted = 0, accepted = 0;
  std::map<RequestId, std::vector<TokenId>> answers;
};

class Bench {
 public:
  Bench(std::unique_ptr<Engine> engine, const SpeculationBenchOptions& options)
      : engine_(std::move(engine)), options_(options) {}

  Expected<Pass> pass(const DraftWorkload& workload, std::uint32_t streams, const std::string& drafter) {
    Pass pass;
    for (std::size_t first = 0; first < std::max<std::size_t>(workload.prompts.size(), streams);
         first += streams)
      TROUPE_TRY(group(workload, first, streams, drafter, pass));
    return pass;
  }
  const Engine& engine() const { return *engine_; }

 private:
  Expected<void> group(const DraftWorkload& workload, std::size_t first, std::uint32_t streams,
                       const std::string& drafter, Pass& pass) {
    for (std::size_t i = first; i < first + streams; ++i) {
      engine::Request request;
      request.id = {7, i + 1};
      request.prompt = workload.prompts[i % workload.prompts.size()];
      request.max_tokens = options_.answer_tokens;
      request.stop_tokens = workload.stop_tokens;
      request.sampling.temperature = workload.temperature;
      request.sampling.seed = i;
      request.drafter = drafter;
      TROUPE_TRY(engine_->submit(std::move(request)));
    }
    std::size_t running = 0;
    std::chrono::steady_clock::time_point began;
    while (engine_->has_work()) {
      const bool counts = running == streams;
      for (const engine::TokenEvent& event : engine_->step().tokens) {
        auto& answer = pass.answers[event.id];
        running += answer.empty() ? 1 : 0;
        for (const GeneratedToken& token : event.tokens) answer.push_back(token.token);
        if (!counts) continue;
        pass.tokens += event.tokens.size();
        pass.stream_steps += 1;
        pass.drafted += event.drafted_tokens;
        pass.accepted += event.accepted_tokens;
      }
      if (!counts && running == streams) began = std::chrono::steady_clock::now();
    }
    pass.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return {};
  }

  const std::unique_ptr<Engine> engine_;
  const SpeculationBenchOptions& options_;
};

double rate(const Pass& pass) {
  return pass.seconds > 0 ? static_cast<double>(pass.tokens) / pass.seconds : 0;
}

/// A host with room for every stream at its longest.
Expected<std::shared_ptr<speculation::DraftSource>> make_source(const Model& target, std::size_t pages,
                                                                const SpeculationBenchOptions& options) {
  static const SteadyClock kClock;
  const auto wanted = draft::vocabulary_id(target.file()), found = draft::vocabulary_id(options.draft_model->file());
  TROUPE_TRY(wanted);
  TROUPE_TRY(found);
  if (*wanted != *found)
    return fail(Errc::invalid_argument, options.draft_model->file().path().string() + " has another vocabulary than the target");
  auto cpu = backend::make_cpu_backend(options.cpu);
  TROUPE_TRY(cpu);
  draft::HostOptions settings;
  settings.pass_rows = kTokenBudget;
  settings.kv_bytes = pages * engine::page_bytes(options.draft_model->config(), (*cpu)->kv_dtype());
  auto host = draft::DraftHost::create(options.draft_model, std::shared_ptr<backend::Backend>(std::move(*cpu)), settings);
  TROUPE_TRY(host);
  return std::make_shared<draft::HostSource>(std::shared_ptr<draft::DraftHost>(std::move(*host)), kClock);
}

Expected<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Model> model,
                                              std::span<const DraftWorkload> workloads,
                                              const SpeculationBenchOptions& options) {
  std::size_t longest = 0;
  for (const DraftWorkload& workload : workloads)
    for (const auto& prompt : workload.prompts) longest = std::max(longest, prompt.size());
  const std::uint32_t most = *std::max_element(options.streams.begin(), options.streams.end());
  auto cpu = backend::make_cpu_backend(options.cpu);
  TROUPE_TRY(cpu);
  engine::EngineOptions settings;
  settings.token_budget = settings.chunk = kTokenBudget;
  settings.max_sequences = settings.queue = most;
  settings.prefix_cache = false;  // every pass computes the same
  settings.speculation.most_draft = options.most_draft;
  settings.speculation.always = options.always;
  const std::size_t pages =
      most * ((longest + options.answer_tokens + options.most_draft) / backend::kPageSlots + 2) + 2 * most;
  settings.kv_bytes = pages * engine::page_bytes(model->config(), (*cpu)->kv_dtype());
  if (options.draft_model) {
    auto source = make_source(*model, pages + 2 * most, options);
    TROUPE_TRY(source);
    settings.speculation.source = std::move(*source);
  }
  static const SteadyClock kClock;
  return Engine::create(std::move(model), std::shared_ptr<backend::Backend>(std::move(*cpu)), settings,
                        kClock);
}

Expected<void> measure(Bench& bench, const DraftWorkload& workload, std::uint32_t streams,
                       const SpeculationBenchOptions& options, std::vector<SpeculationRow>& rows) {
  const std::size_t first = rows.size();
  for (const std::string& drafter : options.drafters)
    rows.push_back({workload.name, drafter, streams, {}, 0, 0, 0, true});
  std::vector<double> plain_rates;
  std::vector<Pass> sums(options.drafters.size());
  for (std::uint32_t repeat = 0; repeat < options.repeats; ++repeat) {
    for (std::size_t i = 0; i < options.drafters.size(); ++i) {
      // Plain and drafted side by side, each first as often as the other.
      const bool plain_first = (repeat + i) % 2 == 0;
      Expected<Pass> passes[2] = {bench.pass(workload, streams, plain_first ? "off" : options.drafters[i]),
                                  Pass{}};
      passes[1] = bench.pass(workload, streams, plain_first ? options.drafters[i] : "off");
      for (const auto& pass : passes) TROUPE_TRY(pass);
      const Pass &plain = *passes[plain_first ? 0 : 1], &drafted = *passes[plain_first ? 1 : 0];
      plain_rates.push_back(rate(plain));
      SpeculationRow& row = rows[first + i];
      row.ratios.push_back(rate(plain) > 0 ? rate(drafted) / rate(plain) : 0);
      row.equal = row.equal && plain.answers == drafted.answers;
      sums[i].tokens += drafted.tokens, sums[i].stream_steps += drafted.stream_steps;
      sums[i].drafted += drafted.drafted, sums[i].accepted += drafted.accepted;
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    SpeculationRow& row = rows[first + i];
    row.plain_rate = median(plain_rates);
    row.tokens_per_step = static_cast<double>(sums[i].tokens) /
                          static_cast<double>(std::max<std::uint64_t>(1, sums[i].stream_steps));
    row.accepted_share = static_cast<double>(sums[i].accepted) /
                         static_cast<double>(std::max<std::uint64_t>(1, sums[i].drafted));
  }
  return {};
}

}  // namespace

Expected<SpeculationReport> run_speculation_bench(std::shared_ptr<const Model> model,
                                                  std::span<const DraftWorkload> workloads,
                                                  const SpeculationBenchOptions& options,
                                                  const std::function<void(double)>& progress) {
  if (options.streams.empty() || options.drafters.empty() || options.repeats == 0)
    return fail(Errc::invalid_argument,
                "expected at least one number of streams, one drafter and one repeat");
  for (const std::uint32_t streams : options.streams)
    if (streams == 0 || streams > 256)
      return fail(Errc::invalid_argument, "streams: expected 1..256, found " + std::to_string(streams));
  for (const std::string& drafter : options.drafters) TROUPE_TRY(speculation::check_drafter(drafter));
  for (const DraftWorkload& workload : workloads)
    if (workload.prompts.empty())
      return fail(Errc::invalid_argument, "workload " + workload.name + " has no prompts");
  auto engine = make_engine(model, workloads, options);
  TROUPE_TRY(engine);
  const auto hold = (*engine)->hold_thread();
  Bench bench(std::move(*engine), options);
  SpeculationReport report;
  report.model = model->file().path().filename().string();
  report.device = std::to_string(options.cpu.threads) + " threads";
  std::size_t done = 0;
  for (const std::uint32_t streams : options.streams) {
    for (const DraftWorkload& workload : workloads) {
      TROUPE_TRY(measure(bench, workload, streams, options, report.rows));
      progress(static_cast<double>(++done) / static_cast<double>(options.streams.size() * workloads.size()));
    }
  }
  return report;
}

}  // namespace troupe::bench
