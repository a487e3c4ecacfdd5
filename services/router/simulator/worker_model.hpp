#pragma once
// One simulated worker: prompts in chunks and decode rows in the same steps (Sarathi), first come first
// served, pages with a prefix cache, the youngest gives way when pages run out.
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/base/clock.hpp"
#include "common/wire/messages.hpp"
#include "services/router/simulator/block_cache.hpp"
#include "services/router/simulator/trace.hpp"

namespace troupe::router {

/// What a step takes, in microseconds on a worker of speed 1. The defaults are those of an 8B model on one
/// accelerator with 2 TB/s.
struct StepModel {
  double base = 8000;
  double prompt_token = 80;
  double row = 30;
  double kv_token = 0.065;  ///< a token of context that is read
  double pair = 0;          ///< a prompt token attending to a token before it: what makes long prompts dearer
  [[nodiscard]] double us(double prompt_tokens, double rows, double kv_tokens, double pairs) const {
    return base + prompt_token * prompt_tokens + row * rows + kv_token * kv_tokens + pair * pairs;
  }
};

struct WorkerSpec {
  StepModel step;
  double speed = 1;
  std::uint32_t budget_tokens = 512;  ///< rows that prompts fill a step up to, the streams' rows counted
  std::uint32_t chunk_tokens = 512;   ///< of one prompt in one step
  std::uint32_t max_rows = 256;
  std::uint32_t queue = 4096;  ///< waiting at most
  std::uint32_t pages = 7168;  ///< of 64 tokens
  std::uint32_t block_tokens = 512;
  wire::Role role = wire::Role::decode;
};

/// A request on a worker.
struct Sequence {
  std::uint32_t request = 0;  ///< index into the trace
  std::uint32_t epoch = 1;
  std::uint32_t prompt_tokens = 0;                     ///< with what was emitted before a replay
  std::uint32_t output_tokens = 0;                     ///< still to make; 0 on a prefill worker
  const std::vector<std::uint64_t>* blocks = nullptr;  ///< keys, chained, of whole blocks of the prompt
  bool imported = false;                               ///< its pages come computed from a prefill worker
  std::uint32_t fetched = 0;  ///< leading tokens whose pages come from a peer's cache
  // of the worker:
  std::uint32_t cached = 0, computed = 0, made = 0, pages = 0, pinned = 0;  ///< pinned: blocks
};

/// What a step brought.
struct StepEvents {
  struct Token {
    std::uint32_t request = 0, epoch = 0;
    std::uint32_t cached = 0;
    bool first = false;  ///< on this worker
    bool last = false;
    bool prefilled = false;  ///< no token: its pages are computed
  };
  std::vector<Token> tokens;
};

/// Threads: one. Cost of a step: O(sequences).
class WorkerModel {
 public:
  explicit WorkerModel(const WorkerSpec& spec);

  /// false: the queue is full, or the prompt can never fit.
  [[nodiscard]] bool submit(Sequence sequence);
  void cancel(std::uint32_t request);
  /// Admits, and says what the next step takes; none: there is nothing to do.
  [[nodiscard]] std::optional<Duration> begin_step();
  [[nodiscard]] StepEvents end_step();

  [[nodiscard]] wire::Load load(const ModelId& model) const;
  /// Pages of 64 tokens that sequences hold; what is only cached aside.
  [[nodiscard]] std::uint32_t pages_in_use() const;
  [[nodiscard]] BlockCache& cache() { return cache_; }
  [[nodiscard]] const BlockCache& cache() const { return cache_; }
  [[nodiscard]] const WorkerSpec& spec() const { return spec_; }
  [[nodiscard]] const std::deque<Sequence>& running() const { return running_; }
  [[nodiscard]] const std::deque<Sequence>& waiting() const { return waiting_; }
  [[nodiscard]] std::uint64_t preemptions() const { return preemptions_; }

 private:
  [[nodiscard]] std::uint32_t pages_for(std::uint32_t tokens) const;
  void admit();
  [[nodiscard]] bool admit(Sequence& sequence);
  void seal(Sequence& sequence, std::uint32_t upto);
  void free(Sequence& sequence);
  [[nodiscard]] bool grow(std::size_t index);

  WorkerSpec spec_;
  std::uint32_t page_tokens_;  ///< 64, or a block when that is shorter
  BlockCache cache_;
  std::deque<Sequence> waiting_, running_;  // running_: the oldest first
  std::vector<std::uint32_t> chunks_;       // of running_, in the step that runs
  std::uint64_t preemptions_ = 0;
  std::uint64_t computed_tokens_ = 0;  ///< of prompts
};

}  // namespace troupe::router
