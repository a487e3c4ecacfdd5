#pragma once
// Attention over pages: partial (m, l, o) per split of 64 logical indices, merged in ascending order
// [flash-decoding; Dao et al. 2023]. Splits stand at absolute multiples of 64, so neither chunking nor batching shows.
//
// Shared prefixes are attended once a batch [Hydragen; Juravsky et al. 2024, arXiv:2402.05099]: where page tables begin with
// the same pages, the queries of all their rows go through one page together, a matrix product where each alone is a
// vector's, level by level down the tree of prefixes. Departs from the paper: no log-sum-exp of a whole prefix is merged with
// one of the rest; a row's partials stay those of its 64-key splits in their order, so that sharing shows in no bit.
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/backend/cpu/thread_pool.hpp"

namespace troupe::backend::cpu {

inline constexpr std::uint32_t kRunRows = 16;  ///< most rows of a sequence that go through their pages together

struct UnitSet;

/// Visible keys of a row within a split, as slots [begin, end).
struct Visible {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  [[nodiscard]] bool none() const { return begin >= end; }
};

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
  /// Consecutive rows of one sequence, at most kRunRows.
  struct Run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t plain = 0;   ///< splits that every row sees as they lie in the pages
    std::uint32_t shared = 0;  ///< of these, leading ones in the same pages as those of the run before
  };

  /// Units of work, made by the first layer that asks: layers of one window share them. Guarded as the attention call is.
  mutable std::vector<std::shared_ptr<const UnitSet>> unit_sets;

  std::vector<Row> rows;
  std::vector<Run> runs;  ///< those with common pages side by side
  std::vector<std::uint32_t> tables;
  std::vector<std::uint32_t> extras;

 private:
  void add_row(const AttentionBatch& batch, const AttentionRow& from, bool new_run);
  void group_runs();
};

/// Working memory of one thread; keeps what it has grown to.
struct AttentionScratch {
  struct Seen {
    std::uint32_t r = 0;
    Visible seen;
  };
  std::vector<float> keys;     ///< [key_dim, 64]
  std::vector<float> values;   ///< [64, padded value_dim]
  std::array<std::uint16_t, kPageSlots> key_scales{};    ///< of codes in `keys` and `values`
  std::array<std::uint16_t, kPageSlots> value_scales{};
  std::vector<float> scores;   ///< [queries, 64]
  std::vector<float> part;     ///< [queries, padded value_dim] of one split
  std::vector<float> running;  ///< the same, merged so far
  std::vector<SoftmaxPart> sums;
  std::vector<const float*> pointers;
  std::vector<const float*> queries;  ///< of all queries of a unit
  std::vector<float*> outputs;        ///< into `running`, or where partials are stored
  std::vector<std::uint8_t> started;
  std::vector<std::uint32_t> rows;      ///< of the unit, in the plan
  std::vector<std::uint32_t> run_rows;  ///< where each run begins in `rows`
  std::vector<Seen> plain;              ///< rows that see nothing but pages in this split
  std::vector<Seen> gathered;           ///< rows with extras in it
  std::vector<SoftmaxPart> parts;
  std::uint64_t page_visits = 0;  ///< pages gone through, each for one kv head
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
