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

/// Some rows of one sequence against some kv heads.
struct AttentionUnit {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t head = 0;
  std::uint32_t heads = 1;
  std::uint32_t split_begin = 0;
  std::uint32_t split_end = 0;
};

/// Visible keys of a row within a split, as slots [begin, end).
struct VisibleKeys {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  [[nodiscard]] bool none() const { return begin >= end; }
};

/// Working memory of one thread.
struct AttentionScratch {
  struct Seen {
    std::uint32_t r = 0;
    VisibleKeys seen;
  };
  std::vector<float> keys;     ///< [key_dim, 64]
  std::vector<float> values;   ///< [64, padded value_dim]
  std::vector<float> scores;   ///< [queries, 64]
  std::vector<float> part;     ///< [queries, padded value_dim] of one split
  std::vector<float> running;  ///< the same, merged so far
  std::vector<SoftmaxPart> sums;
  std::vector<const float*> pointers;
  std::vector<std::uint8_t> started;
  std::vector<Seen> plain;     ///< rows that see keys of their prefix only in this split
  std::vector<Seen> gathered;  ///< rows with extras in it
  std::vector<SoftmaxPart> parts;
};

/// Working memory of a call; grows to what the largest call needs and stays.
struct AttentionWork {
  std::vector<AttentionScratch> threads;
  std::vector<AttentionUnit> units;
  std::vector<AttentionUnit> pieces;
  std::vector<float> partials;
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

/// `work.threads` has one entry per thread of the pool.
void run_attention(const AttentionCall& call, ThreadPool& pool, AttentionWork& work);

}  // namespace troupe::backend::cpu
