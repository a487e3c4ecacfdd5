#include "common/backend/cpu/attention.hpp"

#include <algorithm>

#include "common/backend/cpu/attention_units.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kUnitsPerThread = 3;  // as many as even out, and as few as let groups stay large
constexpr std::uint32_t kMergedAlone = 4;     // rows whose partials one thread merges sooner than two agree

/// Merges the stored partials of one query head in ascending order.
void merge_partials(const AttentionCall& call, std::uint32_t r, std::uint32_t head, float* partials, std::uint32_t splits) {
  const std::uint32_t value_dim = call.layout.value_dim;
  const std::size_t step = (value_dim + 15) / 16 * 16 + 2;
  const CpuAttentionPlan::Row& row = call.plan->rows[r];
  float* all = partials + (std::size_t{r} * call.params.heads + head) * splits * step;
  const std::uint32_t first = first_key(row, call.params.window) / kPageSlots;
  float* into = all + first * step;
  SoftmaxPart total{into[0], into[1]};
  for (std::uint32_t split = first + 1; split < (row.keys() + kPageSlots - 1) / kPageSlots; ++split) {
    const float* part = all + split * step;
    call.kernels->merge(total, into + 2, {part[0], part[1]}, part + 2, value_dim);
  }
  call.kernels->divide(into + 2, total.sum, value_dim, call.out + r * call.out_stride + head * std::size_t{value_dim});
}

/// Products of all queries with all their keys and values.
std::size_t work_of(const AttentionCall& call) {
  std::size_t keys = 0;
  for (const CpuAttentionPlan::Row& row : call.plan->rows) keys += row.keys() - first_key(row, call.params.window);
  return keys * call.params.heads * (call.layout.key_dim + call.layout.value_dim);
}

const Unit* at(const std::vector<Unit>& units, std::size_t index) { return index < units.size() ? &units[index] : nullptr; }

/// Fewer units than threads can use: the splits of a row are computed apart and merged afterwards.
void run_in_pieces(const AttentionCall& call, const std::vector<Unit>& pieces, ThreadPool& pool,
                   std::vector<AttentionScratch>& scratch, std::vector<float>& partials) {
  const std::uint32_t splits = splits_of(*call.plan);
  const std::size_t step = (call.layout.value_dim + 15) / 16 * 16 + 2;
  const auto rows = static_cast<std::uint32_t>(call.plan->rows.size());
  partials.resize(std::max(partials.size(), std::size_t{rows} * call.params.heads * splits * step));
  const auto tasks = static_cast<std::uint32_t>(std::min<std::size_t>(pieces.size(), ThreadPool::kMaxTasks));
  pool.run(tasks, [&](std::uint32_t task, std::uint32_t worker) {
    for (std::size_t i = task; i < pieces.size(); i += tasks)
      store_partials(call, pieces[i], at(pieces, i + tasks), scratch[worker], partials.data(), splits);
  });
  const auto merge_row = [&](std::uint32_t r) {
    for (std::uint32_t head = 0; head < call.params.heads; ++head) merge_partials(call, r, head, partials.data(), splits);
  };
  if (rows < kMergedAlone) {
    for (std::uint32_t r = 0; r < rows; ++r) merge_row(r);
    return;
  }
  pool.run(std::min(rows, ThreadPool::kMaxTasks), [&](std::uint32_t task, std::uint32_t) {
    for (std::uint32_t r = task; r < rows; r += ThreadPool::kMaxTasks) merge_row(r);
  });
}

}  // namespace

void run_attention(const AttentionCall& call, ThreadPool& pool, std::vector<AttentionScratch>& scratch,
                   std::vector<float>& partials) {
  constexpr std::size_t kSmallWork = 100'000;  // products that one thread does sooner than two agree
  const bool alone = pool.threads() == 1 || work_of(call) < kSmallWork;
  const std::uint32_t wanted = alone ? 1 : kUnitsPerThread * pool.threads();
  const UnitSet& set = units_of(call, wanted);
  const std::vector<Unit>& units = set.units;
  if (alone) {
    for (std::size_t i = 0; i < units.size(); ++i) finish_unit(call, units[i], at(units, i + 1), scratch[0]);
    return;
  }
  if (!set.pieces.empty()) return run_in_pieces(call, set.pieces, pool, scratch, partials);
  const auto tasks = static_cast<std::uint32_t>(std::min<std::size_t>(units.size(), ThreadPool::kMaxTasks));
  pool.run(tasks, [&](std::uint32_t task, std::uint32_t worker) {
    for (std::size_t i = task; i < units.size(); i += tasks) finish_unit(call, units[i], at(units, i + tasks), scratch[worker]);
  });
}

}  // namespace troupe::backend::cpu
