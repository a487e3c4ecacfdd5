#pragma once
// Attention over pages: partial (m, l, o) per split of 64 logical indices, merged in ascending order
// [flash-decoding; Dao et al. 2023]. Splits stand at absolute multiples of 64, so neither chunking nor batching shows.
#include <cstdint>
#include <memory>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/backend/cpu/thread_pool.hpp"

namespace troupe::backend::cpu {

/// A checked and normalised AttentionBatch: leading extras that stand where they count are part of the prefix.
class CpuAttentionPlan final : public AttentionPlan {
 public:
  explicit CpuAttentionPlan(const AttentionBatch& batch);

  struct Row {
    std::uint32_t prefix = 0;
    std::uint32_t extra_begin = 0;
    std::uint32_t extra_count = 0;
    std::uint32_t table = 0;  ///< into `tables`
    [[nodiscard]] std::uint32_t keys() const { return prefix + extra_count; }
  };
  /// Consecutive rows of one sequence.
  struct Run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };

  std::vector<Row> rows;
  std::vector<Run> runs;
  std::vector<std::uint32_t> tables;
  std::vector<std::uint32_t> extras;
};

/// Working memory of one thread.
struct AttentionScratch {
  std::vector<float> keys;     ///< [key_dim, 64]
  std::vector<float> values;   ///< [64, padded value_dim]
  std::vector<float> scores;   ///< [queries, 64]
  std::vector<float> part;     ///< [queries, padded value_dim] of one split
  std::vector<float> running;  ///< the same, merged so far
  std::vector<SoftmaxPart> sums;
  std::vector<const float*> pointers;
  std::vector<std::uint8_t> started;
};

struct AttentionCall {
  const Kernels* kernels = nullptr;
  const CpuAttentionPlan* plan = nullptr;
  KvLayout layout;
  AttentionParams params;
  const std::byte* pages = nullptr;  ///< of this layer
  const float* q = nullptr;
  std::size_t q_stride = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

/// Threads: `scratch` has one entry per thread of the pool; `partials` is shared working memory.
void run_attention(const AttentionCall& call, ThreadPool& pool, std::vector<AttentionScratch>& scratch,
                   std::vector<float>& partials);

}  // namespace troupe::backend::cpu
