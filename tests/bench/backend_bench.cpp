// Speed of the backend's ops on the shapes of SmolLM2 135M: products in Gop/s, then one whole token through all layers.
// Usage: backend_bench [threads] [isa: auto scalar avx2 avx-vnni avx512 amx] [part: all ops head codecs model prefill decode1 decode32 far]
// With one thread the caller's CPU time is counted, so that other programs on the machine disturb less.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/sampling/sampler.hpp"
#include "common/tensor/quant_formats.hpp"

namespace {

using namespace troupe;
using namespace troupe::backend;
using gguf::TensorType;

struct Held {
  std::unique_ptr<Buffer> buffer;
  TensorRef ref;
};

class Bench {
 public:
  explicit Bench(const CpuOptions& options) : backend(std::move(*make_cpu_backend(options))), stream(backend->make_stream()) {}

  Held tensor(std::uint32_t rows, std::uint32_t cols, DType dtype = DType::f32) {
    const bool prepared = dtype == DType::activation;
    const std::size_t bytes = prepared ? backend->activation_bytes(rows, cols) : std::size_t{rows} * cols * 4;
    Held held{std::move(*backend->allocate(bytes)), {}};
    held.ref = {held.buffer.get(), 0, dtype, rows, cols, cols};
    return held;
  }
  Held noise(std::uint32_t rows, std::uint32_t cols) {
    Held held = tensor(rows, cols);
    std::vector<float> values(std::size_t{rows} * cols);
    for (float& value : values) value = next();
    backend->upload(*stream, *held.buffer, 0, std::as_bytes(std::span(values)));
    return held;
  }
  Held ints(const std::vector<std::int32_t>& values) {
    Held held = tensor(1, static_cast<std::uint32_t>(values.size()), DType::i32);
    backend->upload(*stream, *held.buffer, 0, std::as_bytes(std::span(values)));
    return held;
  }
  std::unique_ptr<Weight> matrix(TensorType type, std::uint32_t n, std::uint32_t k) {
    std::vector<float> values(std::size_t{n} * k);
    for (float& value : values) value = next();
    std::vector<std::byte> blocks(quantized_bytes(type, values.size()).value());
    if (!quantize(type, values, blocks)) std::abort();
    return std::move(*backend->make_matrix(type, n, k, blocks));
  }
  std::unique_ptr<Weight> vector(std::uint32_t n) {
    const std::vector<float> ones(n, 1.0F);
    return std::move(*backend->make_vector(TensorType::f32, n, std::as_bytes(std::span(ones))));
  }
  float next() {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<float>(static_cast<std::int64_t>(state >> 40) - (1 << 23)) * 0x1p-23F;
  }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Stream> stream;
  std::uint64_t state = 1;
};

bool count_cpu_time = false;

double now() {
  timespec time{};
  clock_gettime(count_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Median time of one call, in seconds, over about 0.3 s.
double typical(const std::function<void()>& call) {
  std::vector<double> times;
  const double begin = now();
  for (int i = 0; i < 5 || (now() - begin < 0.3 && i < 100000); ++i) {
    const double start = now();
    call();
    times.push_back(now() - start);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

void products(Bench& bench) {
  struct Shape {
    TensorType type;
    const char* name;
    std::uint32_t n, k;
  };
  const std::vector<Shape> shapes = {{TensorType::q4_1, "q4_1", 576, 576},  {TensorType::q4_1, "q4_1", 192, 576},
                                     {TensorType::q4_1, "q4_1", 1536, 576}, {TensorType::q4_1, "q4_1", 576, 1536},
                                     {TensorType::q8_0, "q8_0", 49152, 576}, {TensorType::q4_0, "q4_0", 1536, 576},
                                     {TensorType::q4_k, "q4_k", 2048, 2048}, {TensorType::q6_k, "q6_k", 2048, 2048},
                                     {TensorType::q5_0, "q5_0", 2048, 640}, {TensorType::f16, "f16", 1536, 576},
                                     {TensorType::f32, "f32", 1536, 576}};
  for (const Shape& shape : shapes) {
    const auto weight = bench.matrix(shape.type, shape.n, shape.k);
    std::printf("%s %6u x %-5u", shape.name, shape.n, shape.k);
    for (const std::uint32_t rows : {1U, 4U, 8U, 16U, 64U, 512U}) {
      if (std::uint64_t{rows} * shape.n > 4000000) continue;
      const Held x = bench.noise(rows, shape.k);
      const Held activation = bench.tensor(rows, shape.k, DType::activation);
      const Held out = bench.tensor(rows, shape.n);
      bench.backend->prepare(*bench.stream, x.ref, activation.ref);
      const double seconds = typical([&] { bench.backend->linear(*bench.stream, activation.ref, *weight, nullptr, out.ref); });
      std::printf("  M=%-3u %7.1f us %6.1f Gop/s", rows, seconds * 1e6, 2e-9 * rows * shape.n * shape.k / seconds);
      if (rows == 1) std::printf(" %5.1f GB/s", static_cast<double>(weight->bytes()) * 1e-9 / seconds);
    }
    std::printf("\n");
  }
}

/// The head and the draw after it, with whole rows of logits and with what decides the draw: calls take turns.
void head(Bench& bench) {
  constexpr std::uint32_t kVocab = 49152, kD = 576, kPairs = 400;
  const auto weight = bench.matrix(TensorType::q8_0, kVocab, kD);
  for (const std::uint32_t rows : {1U, 4U, 32U})
    for (const std::uint32_t keep : {1U, 40U, 128U}) {
      const Held x = bench.noise(rows, kD), activation = bench.tensor(rows, kD, DType::activation), out = bench.tensor(rows, kVocab);
      const Held wanted = bench.ints(std::vector<std::int32_t>(rows, static_cast<std::int32_t>(keep)));
      const Held none{nullptr, {}};
      const auto best = std::move(*bench.backend->allocate(std::size_t{rows} * Backend::kMostBest * sizeof(Scored)));
      bench.backend->prepare(*bench.stream, x.ref, activation.ref);
      SamplingParams params;
      params.temperature = keep == 1 ? 0.0F : 1.0F;
      params.top_k = keep;
      const auto whole_rows = [&] {
        bench.backend->linear(*bench.stream, activation.ref, *weight, nullptr, out.ref);
        const auto* logits = reinterpret_cast<const float*>(bench.backend->host_view(*out.buffer).data());
        for (std::uint32_t row = 0; row < rows; ++row)
          (void)sample({logits + std::size_t{row} * kVocab, kVocab}, params, nullptr, 0, row);
      };
      const auto kept_only = [&] {
        bench.backend->linear_best(*bench.stream, activation.ref, *weight, 0.0F, wanted.ref, none.ref, *best);
        const auto* kept = reinterpret_cast<const Scored*>(bench.backend->host_view(*best).data());
        for (std::uint32_t row = 0; row < rows; ++row) {
          std::vector<TokenLogit> list;
          for (std::uint32_t i = 0; i < keep; ++i) list.push_back({kept[row * Backend::kMostBest + i].id, kept[row * Backend::kMostBest + i].value});
          (void)sample_best(list, params, 0, row);
        }
      };
      std::vector<double> whole, kept, ratios;
      for (std::uint32_t i = 0; i < kPairs / std::min(rows, 8U); ++i) {
        const double begin = now();
        whole_rows();
        const double middle = now();
        kept_only();
        const double end = now();
        whole.push_back(middle - begin), kept.push_back(end - middle), ratios.push_back((middle - begin) / (end - middle));
      }
      for (auto* list : {&whole, &kept, &ratios}) std::sort(list->begin(), list->end());
      std::printf("head %2u rows, %3u kept: whole rows %8.1f us, kept %8.1f us, ratio %.3f (quartiles %.3f %.3f)\n", rows, keep,
                  whole[whole.size() / 2] * 1e6, kept[kept.size() / 2] * 1e6, ratios[ratios.size() / 2], ratios[ratios.size() / 4],
                  ratios[3 * ratios.size() / 4]);
    }
}

/// All layers of SmolLM2 with random weights.
class Model {
 public:
  static constexpr std::uint32_t kLayers = 30, kD = 576, kKv = 192, kFfn = 1536, kVocab = 49152,
                                 kHeadRows = 16;
  explicit Model(Bench& owner) : bench(owner) {
    for (std::uint32_t i = 0; i < kLayers; ++i)
      layers.push_back({bench.matrix(TensorType::q4_1, kD, kD), bench.matrix(TensorType::q4_1, kKv, kD),
                        bench.matrix(TensorType::q4_1, kKv, kD), bench.matrix(TensorType::q4_1, kD, kD),
                        bench.matrix(TensorType::q4_1, kFfn, kD), bench.matrix(TensorType::q4_1, kFfn, kD),
                        bench.matrix(TensorType::q4_1, kD, kFfn)});
    head = bench.matrix(TensorType::q8_0, kVocab, kD);
    norm = bench.vector(kD);
  }

  /// Rows of `sequences` equal sequences that have `past` tokens each; the head for the last `heads` rows.
  double step(std::uint32_t rows, std::uint32_t sequences, std::uint32_t past, std::uint32_t heads, bool print = false) {
    const std::uint32_t each = rows / sequences;
    const std::uint32_t pages = (past + each + 63) / 64;
    const KvLayout layout{.layers = kLayers, .kv_heads = 3, .key_dim = 64, .value_dim = 64, .dtype = DType::f16,
                          .pages = pages * sequences};
    const auto kv = std::move(*bench.backend->allocate(layout.offset(kLayers, 0)));
    AttentionBatch batch;
    std::vector<std::int32_t> slots, positions;
    for (std::uint32_t s = 0; s < sequences; ++s) {
      batch.table_begin.push_back(s * pages);
      for (std::uint32_t p = 0; p < pages; ++p) batch.tables.push_back(s * pages + p);
      for (std::uint32_t i = past; i < past + each; ++i) {
        batch.rows.push_back({s, i + 1, 0, 0});
        slots.push_back(static_cast<std::int32_t>(s * pages * 64 + i));
        positions.push_back(static_cast<std::int32_t>(i));
      }
    }
    const auto plan = bench.backend->plan_attention(*bench.stream, batch);
    const Held slot = bench.ints(slots), position = bench.ints(positions);
    const Held x = bench.noise(rows, kD), q = bench.tensor(rows, kD), k = bench.tensor(rows, kKv), v = bench.tensor(rows, kKv),
               mixed = bench.tensor(rows, kD), gate = bench.tensor(rows, kFfn), up = bench.tensor(rows, kFfn),
               table = bench.tensor(rows, 64), small = bench.tensor(rows, kD, DType::activation),
               large = bench.tensor(rows, kFfn, DType::activation),
               logits = bench.tensor(std::min(heads, kHeadRows), kVocab),
               last = bench.tensor(std::min(heads, kHeadRows), kD, DType::activation);
    Backend& b = *bench.backend;
    Stream& s = *bench.stream;
    double parts[6] = {};
    const auto timed = [&](int part, const auto& call) {
      const double start = now();
      call();
      parts[part] += now() - start;
    };
    int runs = 0;
    const auto run = [&] {
      ++runs;
      timed(0, [&] { b.rope_table(s, {.dims = 64, .base = 1e5, .scale = 1.0, .freq_factors = {}}, position.ref, table.ref); });
      for (std::uint32_t i = 0; i < kLayers; ++i) {
        const Layer& w = layers[i];
        timed(0, [&] { b.norm_prepare(s, x.ref, *norm, 1e-5F, small.ref); });
        timed(1, [&] {
          b.linear(s, small.ref, *w.q, nullptr, q.ref);
          b.linear(s, small.ref, *w.k, nullptr, k.ref);
          b.linear(s, small.ref, *w.v, nullptr, v.ref);
        });
        timed(2, [&] {
          b.rope(s, RopeStyle::adjacent, table.ref, 9, q.ref);
          b.rope(s, RopeStyle::adjacent, table.ref, 3, k.ref);
          b.kv_write(s, layout, *kv, i, k.ref, v.ref, slot.ref);
        });
        timed(3, [&] {
          b.attention(s, layout, *kv, *plan, {.layer = i, .heads = 9, .window = 0, .scale = 0.125F, .softcap = 0.0F}, q.ref, mixed.ref);
        });
        timed(0, [&] { b.prepare(s, mixed.ref, small.ref); });
        timed(1, [&] { b.linear(s, small.ref, *w.o, nullptr, mixed.ref); });
        timed(0, [&] {
          b.add(s, x.ref, mixed.ref, x.ref);
          b.norm_prepare(s, x.ref, *norm, 1e-5F, small.ref);
        });
        timed(1, [&] {
          b.linear(s, small.ref, *w.gate, nullptr, gate.ref);
          b.linear(s, small.ref, *w.up, nullptr, up.ref);
        });
        timed(4, [&] {
          b.gated(s, Activation::silu, gate.ref, up.ref, gate.ref);
          b.prepare(s, gate.ref, large.ref);
        });
        timed(1, [&] { b.linear(s, large.ref, *w.down, nullptr, mixed.ref); });
        timed(0, [&] { b.add(s, x.ref, mixed.ref, x.ref); });
      }
      for (std::uint32_t at = rows - heads; at < rows; at += kHeadRows) {
        TensorRef tail = x.ref, prepared = last.ref, out = logits.ref;
        tail.offset_bytes = std::size_t{at} * kD * 4;
        tail.rows = prepared.rows = out.rows = std::min(kHeadRows, rows - at);
        timed(5, [&] {
          b.norm_prepare(s, tail, *norm, 1e-5F, prepared);
          b.linear(s, prepared, *head, nullptr, out);
        });
      }
    };
    run();  // touches every page
    runs = 0;
    for (double& part : parts) part = 0.0;
    const double seconds = typical(run);
    if (print) {
      const char* names[] = {"norms", "linear", "rope+kv", "attention", "gated", "head"};
      for (int i = 0; i < 6; ++i) std::printf("    %s %.2f ms", names[i], parts[i] / runs * 1e3);
      std::printf("  (mean of %d)\n", runs);
    }
    return seconds;
  }

 private:
  struct Layer {
    std::unique_ptr<Weight> q, k, v, o, gate, up, down;
  };
  Bench& bench;
  std::vector<Layer> layers;
  std::unique_ptr<Weight> head, norm;
};

/// Attention of all layers at a context of 4,000 over pages of one codec.
class FarAttention {
 public:
  FarAttention(CpuOptions options, KvCodec codec, std::uint32_t streams)
      : bench(with(options, codec)), q(bench.noise(streams, 576)), out(bench.tensor(streams, 576)),
        layout{.layers = 30, .kv_heads = 3, .key_dim = 64, .value_dim = 64, .dtype = bench.backend->kv_dtype(),
               .pages = streams * kPages},
        kv(std::move(*bench.backend->allocate(layout.offset(30, 0)))) {
    const Held k = bench.noise(kPageSlots, 192);
    for (std::uint32_t page = 0; page < layout.pages; ++page) {
      std::vector<std::int32_t> slots;
      for (std::uint32_t i = 0; i < kPageSlots; ++i) slots.push_back(static_cast<std::int32_t>(page * kPageSlots + i));
      const Held slot = bench.ints(slots);
      for (std::uint32_t layer = 0; layer < layout.layers; ++layer)
        bench.backend->kv_write(*bench.stream, layout, *kv, layer, k.ref, k.ref, slot.ref);
    }
    AttentionBatch batch;
    for (std::uint32_t i = 0; i < layout.pages; ++i) batch.tables.push_back((i * 7 + 3) % layout.pages);
    for (std::uint32_t i = 0; i < streams; ++i) batch.table_begin.push_back(i * kPages), batch.rows.push_back({i, 4000, 0, 0});
    plan = bench.backend->plan_attention(*bench.stream, batch);
  }
  void run() {
    for (std::uint32_t layer = 0; layer < layout.layers; ++layer)
      bench.backend->attention(*bench.stream, layout, *kv, *plan,
                               {.layer = layer, .heads = 9, .window = 0, .scale = 0.125F, .softcap = 0.0F}, q.ref, out.ref);
  }

 private:
  static constexpr std::uint32_t kPages = 63;
  static CpuOptions with(CpuOptions options, KvCodec codec) {
    options.kv_codec = codec;
    return options;
  }
  Bench bench;
  Held q, out;
  KvLayout layout;
  std::unique_ptr<Buffer> kv;
  std::unique_ptr<AttentionPlan> plan;
};

void codecs(const CpuOptions& options) {
  for (const std::uint32_t streams : {1U, 4U}) {
    FarAttention exact(options, KvCodec::f16, streams), lossy(options, KvCodec::int8, streams);
    std::vector<double> ratios, times;
    for (int i = 0; i < 60; ++i) {
      const double begin = now();
      exact.run();
      const double middle = now();
      lossy.run();
      ratios.push_back((middle - begin) / (now() - middle)), times.push_back(middle - begin);
    }
    std::sort(ratios.begin(), ratios.end()), std::sort(times.begin(), times.end());
    std::printf("attention at 4000, %u streams: f16 %.2f ms, f16 / int8 %.3f (quartiles %.3f %.3f)\n", streams, times[30] * 1e3,
                ratios[30], ratios[15], ratios[45]);
  }
}

void model(Bench& bench, const std::string& part) {
  Model model(bench);
  const bool all = part == "all" || part == "model";
  if (all || part == "prefill") {
    const double prefill = model.step(512, 1, 0, 1, true);
    std::printf("prefill 512: %.1f ms, %.0f tokens/s\n", prefill * 1e3, 512 / prefill);
  }
  for (const std::uint32_t batch : {1U, 2U, 4U, 8U, 32U}) {
    if (!all && part != "decode" + std::to_string(batch)) continue;
    const double step = model.step(batch, batch, 160, batch, true);
    std::printf("decode batch %2u: %.2f ms, %.0f tokens/s\n", batch, step * 1e3, batch / step);
  }
  if (!all && part != "far") return;
  const double far = model.step(1, 1, 4000, 1, true);
  std::printf("decode at 4000: %.2f ms, %.0f tokens/s\n", far * 1e3, 1 / far);
}

}  // namespace

int main(int argc, char** argv) {
  CpuOptions options;
  if (argc > 1) options.threads = static_cast<std::uint32_t>(std::atoi(argv[1]));
  count_cpu_time = options.threads == 1;
  const std::string isa = argc > 2 ? argv[2] : "auto";
  const auto named = isa_named(isa);
  if (!named) {
    std::fprintf(stderr, "no instruction set is called %s\n", isa.c_str());
    return 2;
  }
  options.isa = *named;
  if (auto made = make_cpu_backend(options); !made) {
    std::fprintf(stderr, "%s\n", to_string(made.error()).c_str());
    return 2;
  }
  Bench bench(options);
  std::printf("%s\n", bench.backend->info().name.c_str());
  const std::string part = argc > 3 ? argv[3] : "all";
  if (part == "all" || part == "ops") products(bench);
  if (part == "all" || part == "head") head(bench);
  if (part == "all" || part == "codecs") codecs(options);
  if (part != "ops" && part != "head" && part != "codecs") model(bench, part);
  return 0;
}
