#include "services/bench/engine/engine_bench.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "common/backend/limits.hpp"
#include "common/engine/engine.hpp"
#include "common/engine/model_runner.hpp"
#include "services/bench/engine/neighbours.hpp"
#include "services/bench/engine/statistics.hpp"

namespace troupe::bench {
namespace {

using engine::Engine;
using Seconds = std::chrono::duration<double>;

constexpr std::uint32_t kTokenBudget = 512;
constexpr std::uint32_t kTriesPerRepeat = 3;
constexpr Seconds kShortest{0.4};  ///< of one prefill sample: CPU time is told in ticks of 10 ms

/// Most tokens a stream reaches: those that finish their prompt first make answers while the others still compute theirs.
std::uint32_t longest_stream(const EngineBenchOptions& options) {
  const std::uint32_t most = *std::max_element(options.streams.begin(), options.streams.end());
  return options.context + options.decode_steps + most;
}

/// What was done in a measured span.
struct Span {
  double seconds = 0;
  double tokens = 0;
  double steps = 0;
  double context = 0;  ///< mean keys a row saw
  OpCounts ops;
};

class EngineBench {
 public:
  EngineBench(std::shared_ptr<const Model> model, std::shared_ptr<TimedBackend> backend, std::unique_ptr<Engine> engine,
              const EngineBenchOptions& options)
      : model_(std::move(model)), backend_(std::move(backend)), engine_(std::move(engine)), options_(options) {}

  /// Prompts of `prefill_tokens`, one after another, each until its first token.
  Expected<Span> prefill() {
    Span span;
    backend_->reset();
    const auto begin = std::chrono::steady_clock::now();
    do {
      TROUPE_TRY(submit(options_.prefill_tokens, 1));
      while (engine_->has_work()) {
        (void)engine_->step();
        span.steps += 1;
      }
      span.tokens += options_.prefill_tokens;
      span.seconds = Seconds(std::chrono::steady_clock::now() - begin).count();
    } while (span.seconds < kShortest.count());
    span.ops = backend_->counts();
    span.context = options_.prefill_tokens;
    return span;
  }

  /// `streams` different prompts, then `decode_steps` steps in which every stream makes a token.
  Expected<Span> decode(std::uint32_t streams) {
    const std::uint32_t lead = streams * options_.context / (2 * kTokenBudget);
    const std::uint32_t prompt = options_.context - options_.decode_steps / 2 - std::min(lead, options_.context / 4);
    lengths_.clear();
    for (std::uint32_t i = 0; i < streams; ++i) TROUPE_TRY(submit(prompt, longest_stream(options_) - prompt));
    std::uint32_t steps = 0;
    while (lengths_.size() < streams) {
      if (++steps > 64 + streams) return fail(Errc::internal, "the streams' prompts did not all get computed");
      note(engine_->step());
    }
    Span span;
    for (const auto& [id, length] : lengths_) span.context += prompt + length;
    span.context = span.context / streams + options_.decode_steps / 2.0;
    backend_->reset();
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t step = 0; step < options_.decode_steps; ++step) span.tokens += note(engine_->step());
    span.seconds = Seconds(std::chrono::steady_clock::now() - begin).count();
    span.ops = backend_->counts();
    span.steps = options_.decode_steps;
    for (const auto& [id, length] : lengths_) engine_->cancel(id);
    while (engine_->has_work()) (void)engine_->step();
    if (span.tokens != span.steps * streams)
      return fail(Errc::internal, "expected a token of every stream in every step, found " + std::to_string(span.tokens));
    return span;
  }

  /// Bytes of K and V that `span` read for one stream in a step.
  [[nodiscard]] double kv_bytes(double context) const {
    double bytes = 0;
    const double slot = static_cast<double>(engine_->layer_page_bytes()) / backend::kPageSlots;
    for (const std::uint32_t window : model_->config().window) bytes += slot * (window == 0 ? context : std::min<double>(context, window));
    return bytes;
  }

  const Engine& engine() const { return *engine_; }

 private:
  Expected<void> submit(std::uint32_t prompt, std::uint32_t answer) {
    engine::Request request;
    request.id = random_id<RequestId>();
    request.prompt.reserve(prompt);
    for (std::uint32_t i = 0; i < prompt; ++i) request.prompt.push_back(next_token());
    request.max_tokens = answer;
    request.sampling.temperature = 0;
    return engine_->submit(std::move(request));
  }

  double note(const engine::StepOutput& out) {
    double made = 0;
    for (const engine::TokenEvent& event : out.tokens) {
      made += static_cast<double>(event.tokens.size());
      lengths_[event.id] += static_cast<std::uint32_t>(event.tokens.size());
    }
    return made;
  }

  /// Ordinary tokens in no order: what they are does not change the work.
  TokenId next_token() {
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<TokenId>((seed_ >> 33) % model_->config().vocab);
  }

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<TimedBackend> backend_;
  const std::unique_ptr<Engine> engine_;
  const EngineBenchOptions& options_;
  std::map<RequestId, std::uint32_t> lengths_;  ///< tokens made
  std::uint64_t seed_ = 1;
};

EngineSample to_sample(const EngineBench& bench, const Span& span, std::uint32_t streams, bool reads_kv,
                       backend::LimitProbe& probe, const NeighbourWatch& watch) {
  EngineSample sample;
  sample.tokens_per_second = span.tokens / span.seconds;
  sample.read_bandwidth = probe.read_bandwidth();
  sample.multiply_adds = probe.multiply_adds();
  const double kv = reads_kv ? streams * bench.kv_bytes(span.context) : 0;
  const double read = (static_cast<double>(span.ops.weight_bytes) + kv) * span.steps;
  sample.read_share = read / span.seconds / sample.read_bandwidth;
  sample.multiply_share = span.ops.multiply_adds / span.seconds / sample.multiply_adds;
  sample.overhead = std::max(0.0, 1 - span.ops.total_seconds() / span.seconds);
  sample.ops = span.ops;
  sample.neighbours = watch.share();
  return sample;
}

Expected<void> check(const EngineBenchOptions& options, const Model& model) {
  const auto wrong = [](const std::string& what) { return fail(Errc::invalid_argument, what); };
  if (options.repeats == 0 || options.streams.empty()) return wrong("expected at least one repeat and one number of streams");
  for (const std::uint32_t streams : options.streams)
    if (streams == 0 || streams > 256) return wrong("streams: expected 1..256, found " + std::to_string(streams));
  if (options.prefill_tokens < 1) return wrong("prefill: expected at least 1 token");
  if (options.decode_steps < 2 || options.decode_steps / 2 >= options.context - options.context / 4)
    return wrong("steps: expected 2 to one and a half times the context, found " + std::to_string(options.decode_steps));
  const std::uint32_t longest = std::max(options.prefill_tokens + 1, longest_stream(options));
  if (longest > model.config().context_length)
    return wrong("the bench needs a context of " + std::to_string(longest) + ", the model has " +
                 std::to_string(model.config().context_length));
  return {};
}

/// One row's repeat; what it is measured against comes right after it.
Expected<EngineSample> sample_row(EngineBench& bench, EngineRow& row, bool prefill, backend::LimitProbe& probe) {
  const NeighbourWatch watch;
  const auto span = prefill ? bench.prefill() : bench.decode(row.streams);
  TROUPE_TRY(span);
  row.context = span->context;
  return to_sample(bench, *span, row.streams, !prefill, probe, watch);
}

}  // namespace

double EngineRow::typical(const std::function<double(const EngineSample&)>& of) const {
  std::vector<double> values;
  for (const EngineSample& sample : kept) values.push_back(of(sample));
  return median(std::move(values));
}

std::uint32_t bench_pages(const EngineBenchOptions& options) {
  constexpr std::uint32_t kSpare = 8;
  const std::uint32_t most = *std::max_element(options.streams.begin(), options.streams.end());
  const std::uint32_t decode = most * (longest_stream(options) / backend::kPageSlots + 2);
  return std::max(decode, options.prefill_tokens / backend::kPageSlots + 2) + kSpare;
}

Expected<EngineReport> run_engine_bench(std::shared_ptr<const Model> model, const EngineBenchOptions& options,
                                        const std::function<void(double)>& progress) {
  constexpr double kLoadPart = 0.1;
  TROUPE_TRY(check(options, *model));
  auto cpu = backend::make_cpu_backend(options.cpu);
  TROUPE_TRY(cpu);
  const auto timed = make_timed_backend(std::move(*cpu));
  engine::EngineOptions settings;
  settings.token_budget = settings.chunk = kTokenBudget;
  settings.max_sequences = *std::max_element(options.streams.begin(), options.streams.end());
  settings.queue = settings.max_sequences;
  settings.kv_bytes = bench_pages(options) * engine::page_bytes(model->config(), timed->kv_dtype());
  settings.prefix_cache = false;
  static const SteadyClock kClock;
  auto engine = Engine::create(model, timed, settings, kClock, [&](double part) { progress(part * kLoadPart); });
  TROUPE_TRY(engine);
  const auto hold = (*engine)->hold_thread();
  EngineBench bench(model, timed, std::move(*engine), options);
  // Every row once before any counts: the first touch of pages and working memory is no part of a speed.
  TROUPE_TRY(bench.prefill());
  for (const std::uint32_t streams : options.streams) TROUPE_TRY(bench.decode(streams));
  const auto warm = bench.decode(options.streams.front());
  TROUPE_TRY(warm);

  EngineReport report;
  report.model = model->file().path().filename().string();
  report.device = timed->info().name;
  report.numerics = timed->numerics_id();
  report.threads = timed->info().threads;
  report.weight_bytes = warm->ops.weight_bytes;
  backend::CpuOptions probe_options = options.cpu;
  probe_options.threads = report.threads;
  probe_options.pin_threads = false;  // the engine has the CPUs, and the two take turns
  auto probe = backend::make_cpu_limit_probe(probe_options, report.weight_bytes);
  TROUPE_TRY(probe);
  report.rows.push_back({"prefill " + std::to_string(options.prefill_tokens), 1, 0, {}, 0});
  for (const std::uint32_t streams : options.streams) report.rows.push_back({"decode " + std::to_string(streams), streams, 0, {}, 0});

  // Rows take turns, so that a machine that changes speed changes it for all of them.
  const std::uint32_t tries = options.repeats * kTriesPerRepeat;
  for (std::uint32_t attempt = 0; attempt < tries; ++attempt) {
    for (std::size_t i = 0; i < report.rows.size(); ++i) {
      EngineRow& row = report.rows[i];
      if (row.kept.size() >= options.repeats) continue;
      auto sample = sample_row(bench, row, i == 0, **probe);
      TROUPE_TRY(sample);
      if (options.noisy || sample->neighbours < kNeighbourBar)
        row.kept.push_back(std::move(*sample));
      else
        row.discarded += 1;
      // The slowest row says how far it is; a quiet machine needs a third of the tries.
      std::size_t least = options.repeats;
      for (const EngineRow& other : report.rows) least = std::min(least, other.kept.size());
      progress(kLoadPart + (1 - kLoadPart) * std::max(static_cast<double>(attempt) / tries, static_cast<double>(least) / options.repeats));
    }
  }
  progress(1);
  return report;
}

}  // namespace troupe::bench
