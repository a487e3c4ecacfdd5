#pragma once
// Speed of one engine without HTTP: prefill and decode, each beside what the machine allows, in the same repeats.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/base/error.hpp"
#include "common/model/model.hpp"
#include "services/bench/engine/timed_backend.hpp"

namespace troupe::bench {

struct EngineBenchOptions {
  backend::CpuOptions cpu;
  std::uint32_t prefill_tokens = 512;
  std::vector<std::uint32_t> streams{1, 8, 32};
  std::uint32_t context = 160;      ///< mean over the measured steps
  std::uint32_t decode_steps = 64;  ///< of one repeat; even, under twice the context
  std::uint32_t repeats = 5;        ///< that count
  bool noisy = false;               ///< count every repeat, whatever the neighbours do
};

/// One repeat of one row.
struct EngineSample {
  double tokens_per_second = 0;
  double neighbours = 0;       ///< share of the machine others took
  double read_bandwidth = 0;   ///< the machine's, bytes a second
  double multiply_adds = 0;    ///< the machine's, a second
  double read_share = 0;       ///< of read_bandwidth: weights and KV a step must read
  double multiply_share = 0;   ///< of multiply_adds: the products of a step
  double overhead = 0;         ///< share of the time outside backend ops
  OpCounts ops;
};

struct EngineRow {
  std::string name;           ///< "prefill 512", "decode 32"
  std::uint32_t streams = 1;
  double context = 0;         ///< mean; of prefill: its length
  std::vector<EngineSample> kept;
  std::uint32_t discarded = 0;  ///< repeats beside a busy neighbour
  /// Median over the kept repeats of what `of` picks; 0 when none was kept.
  [[nodiscard]] double typical(const std::function<double(const EngineSample&)>& of) const;
};

struct EngineReport {
  std::string model, device, numerics;
  std::uint32_t threads = 0;
  std::size_t weight_bytes = 0;  ///< packed, what a decode step reads
  std::vector<EngineRow> rows;
};

/// Tries each row up to three times as often as `repeats` asks, then reports what it has.
/// `progress` gets 0..1 while it loads and while it measures. Errors: those of Engine::create; invalid_argument.
[[nodiscard]] Expected<EngineReport> run_engine_bench(std::shared_ptr<const Model> model, const EngineBenchOptions& options,
                                                      const std::function<void(double)>& progress);

/// Pages one row of the bench needs: every stream's tokens, a page to grow into, and some to spare.
[[nodiscard]] std::uint32_t bench_pages(const EngineBenchOptions& options);

}  // namespace troupe::bench
