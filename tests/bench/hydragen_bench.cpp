// What attending to shared pages once a step gains [Juravsky et al. 2024, arXiv:2402.05099]: attention alone on the shape of
// SmolLM2 135M, then whole decode steps of an engine, over batch x prefix. Three ways of the same answers:
//   once    shared pages, each gone through once for all sequences
//   apart   shared pages, gone through by each sequence for its group of query heads
//   copies  as apart, each sequence with pages of its own, as without a prefix cache
// Usage: hydragen_bench [threads] [isa: auto avx2 avx-vnni avx512 amx] [model.gguf, for whole steps] [batch] [prefix]
// With one thread the caller's CPU time is counted; the three take turns, and the median of each is printed.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/tensor/half.hpp"

namespace {

using namespace troupe;
using namespace troupe::backend;

constexpr std::uint32_t kOwn = 16;  ///< prompt tokens of each sequence after the prefix
enum Way { once, apart, copies, ways };
using Times = std::array<std::vector<double>, ways>;

bool count_cpu_time = false;

double now() {
  timespec time{};
  clock_gettime(count_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <class Value>
Value need(Expected<Value> value) {
  if (value) return std::move(*value);
  std::fprintf(stderr, "%s\n", to_string(value.error()).c_str());
  std::exit(2);
}
void need(const Expected<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  std::exit(2);
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

void print(const char* what, const Times& times) {
  const double fast = median(times[once]);
  std::printf("  %-12s once %8.3f ms   apart %8.3f ms (%.2fx)   copies %8.3f ms (%.2fx)\n", what, fast * 1e3,
              median(times[apart]) * 1e3, median(times[apart]) / fast, median(times[copies]) * 1e3, median(times[copies]) / fast);
  std::fflush(stdout);
}

/// Halves in [-0.5, 0.5).
std::vector<std::uint16_t> noise(std::size_t count) {
  std::vector<std::uint16_t> values(count);
  std::uint64_t state = 1;
  for (std::uint16_t& value : values) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    value = float_to_half(static_cast<float>(state >> 40) * 0x1p-24F - 0.5F);
  }
  return values;
}

/// One way of attending: its cache, tables and plan.
class Attention {
 public:
  static constexpr std::uint32_t kHeads = 9, kWidth = kHeads * 64;
  Attention(Backend& backend, std::uint32_t batch, std::uint32_t prefix, Way way)
      : backend_(backend), stream_(backend.make_stream()), batch_(batch) {
    const std::uint32_t shared = prefix / kPageSlots;
    const std::uint32_t pages = way == copies ? batch * (shared + 1) : shared + batch;
    // As many layers as a step goes through between two visits of one, where memory allows it.
    layout_ = {.layers = way == copies ? 2U : 30U, .kv_heads = 3, .key_dim = 64, .value_dim = 64, .dtype = DType::f16, .pages = pages};
    kv_ = need(backend.allocate(layout_.offset(layout_.layers, 0)));
    const auto halves = noise(layout_.offset(1, 0) / 2);
    for (std::uint32_t layer = 0; layer < layout_.layers; ++layer)
      backend.upload(*stream_, *kv_, layout_.offset(layer, 0), std::as_bytes(std::span(halves)));
    AttentionBatch rows;
    rows.share_prefixes = way == once;
    for (std::uint32_t i = 0; i < batch; ++i) {
      rows.table_begin.push_back(static_cast<std::uint32_t>(rows.tables.size()));
      for (std::uint32_t p = 0; p < shared; ++p) rows.tables.push_back(way == copies ? i * (shared + 1) + p : p);
      rows.tables.push_back(way == copies ? i * (shared + 1) + shared : shared + i);
      rows.rows.push_back({i, prefix + kOwn + i % 8, 0, 0});
    }
    plan_ = backend.plan_attention(*stream_, rows);
    q_ = need(backend.allocate(std::size_t{batch} * kWidth * 4));
    out_ = need(backend.allocate(std::size_t{batch} * kWidth * 4));
    std::vector<float> q;
    for (const std::uint16_t half : noise(std::size_t{batch} * kWidth)) q.push_back(half_to_float(half));
    backend.upload(*stream_, *q_, 0, std::as_bytes(std::span(q)));
  }

  double run() {
    const double start = now();
    backend_.attention(*stream_, layout_, *kv_, *plan_, {.layer = layer_++ % layout_.layers, .heads = kHeads, .window = 0,
                       .scale = 0.125F, .softcap = 0.0F}, {q_.get(), 0, DType::f32, batch_, kWidth, kWidth},
                       {out_.get(), 0, DType::f32, batch_, kWidth, kWidth});
    return now() - start;
  }

 private:
  Backend& backend_;
  std::unique_ptr<Stream> stream_;
  std::uint32_t batch_;
  KvLayout layout_;
  std::unique_ptr<Buffer> kv_, q_, out_;
  std::unique_ptr<AttentionPlan> plan_;
  std::uint32_t layer_ = 0;
};

void attention(Backend& backend, std::uint32_t batch, std::uint32_t prefix) {
  std::vector<Attention> all;
  for (const Way way : {once, apart, copies}) all.emplace_back(backend, batch, prefix, way);
  Times times;
  for (int round = 0; round < 61; ++round)
    for (std::size_t way = 0; way < ways; ++way) times[way].push_back(all[way].run());
  print("attention", times);
}

/// An engine with `batch` sequences over one prefix whose pages came from elsewhere.
class Decoding {
 public:
  Decoding(const std::shared_ptr<const Model>& model, const std::shared_ptr<Backend>& backend, std::uint32_t batch,
           std::uint32_t prefix, Way way) : prefix_(prefix) {
    static const SteadyClock clock;
    engine::EngineOptions options;
    options.hydragen = way == once;
    options.prefix_cache = way != copies;
    const std::uint64_t pages = (way == copies ? batch : 1) * std::uint64_t{prefix / kPageSlots} + 4 * batch + 8;
    options.kv_bytes = pages * 30 * 49152;
    engine_ = need(engine::Engine::create(model, backend, options, clock));
    for (std::uint32_t i = 0; i < batch; ++i) start(i, way == copies || i == 0);
    while (engine_->step().rows != batch) {}
  }
  double run() {
    const double start = now();
    engine_->step();
    return now() - start;
  }

 private:
  void start(std::uint32_t i, bool import) {
    engine::Request request;
    request.id = {1, i + 1};
    for (std::uint32_t at = 0; at < prefix_; ++at) request.prompt.push_back(static_cast<TokenId>(100 + at * 7 % 4000));
    for (std::uint32_t at = 0; at < kOwn + i % 8; ++at) request.prompt.push_back(static_cast<TokenId>(5000 + (i * 50 + at) % 4000));
    request.max_tokens = 120;
    request.sampling.temperature = 0;
    if (!import) return need(engine_->submit(request));
    need(engine_->reserve_import(request, prefix_));
    const auto page = noise(engine_->layer_page_bytes() / 2);
    for (std::uint32_t layer = 0; layer < engine_->layers(); ++layer)
      for (std::uint32_t index = 0; index < prefix_ / kPageSlots; ++index)
        need(engine_->import_page(request.id, layer, index, std::as_bytes(std::span(page))));
    need(engine_->commit_import(request.id, UINT32_MAX));
    engine_->step();
  }

  std::uint32_t prefix_;
  std::unique_ptr<engine::Engine> engine_;
};

void steps(const std::shared_ptr<const Model>& model, const std::shared_ptr<Backend>& backend, std::uint32_t batch,
           std::uint32_t prefix) {
  std::vector<Decoding> all;
  for (const Way way : {once, apart, copies}) all.emplace_back(model, backend, batch, prefix, way);
  Times times;
  for (int round = 0; round < 15; ++round)
    for (std::size_t way = 0; way < ways; ++way) times[way].push_back(all[way].run());
  print("decode step", times);
}

}  // namespace

int main(int argc, char** argv) {
  CpuOptions options;
  options.threads = argc > 1 ? static_cast<std::uint32_t>(std::atoi(argv[1])) : 1;
  count_cpu_time = options.threads == 1;
  const std::string isa = argc > 2 ? argv[2] : "auto";
  const auto named = isa_named(isa);
  if (!named) {
    std::fprintf(stderr, "no instruction set is called %s\n", isa.c_str());
    return 2;
  }
  options.isa = *named;
  const std::shared_ptr<Backend> backend = need(make_cpu_backend(options));
  std::shared_ptr<const Model> model;
  if (argc > 3) model = need(Model::load(argv[3]));
  std::printf("%s\n", backend->info().name.c_str());
  for (const std::uint32_t batch : {8U, 32U})
    for (const std::uint32_t prefix : {1024U, 4096U}) {
      if ((argc > 4 && std::to_string(batch) != argv[4]) || (argc > 5 && std::to_string(prefix) != argv[5])) continue;
      std::printf("batch %u, prefix %u\n", batch, prefix);
      attention(*backend, batch, prefix);
      if (model != nullptr) steps(model, backend, batch, prefix);
    }
  return 0;
}
