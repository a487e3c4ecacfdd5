#include "common/backend/cpu/attention.hpp"

#include <algorithm>

#include "common/base/error.hpp"

namespace troupe::backend::cpu {
namespace {

void check_row(const AttentionBatch& batch, const AttentionRow& row) {
  TROUPE_CHECK(row.sequence < batch.table_begin.size(), "attention row of an unknown sequence");
  TROUPE_CHECK(std::size_t{row.extra_begin} + row.extra_count <= batch.extras.size(), "extras out of range");
  TROUPE_CHECK(row.prefix + row.extra_count > 0, "attention row without keys");
  const std::size_t begin = batch.table_begin[row.sequence];
  const std::size_t end =
      row.sequence + 1 < batch.table_begin.size() ? batch.table_begin[row.sequence + 1] : batch.tables.size();
  TROUPE_CHECK(begin <= end && end <= batch.tables.size(), "page table out of range");
  const std::size_t slots = (end - begin) * kPageSlots;
  TROUPE_CHECK(row.prefix <= slots, "prefix longer than the page table");
  for (std::uint32_t i = 0; i < row.extra_count; ++i)
    TROUPE_CHECK(batch.extras[row.extra_begin + i] < slots, "extra index beyond the page table");
}

}  // namespace

CpuAttentionPlan::CpuAttentionPlan(const AttentionBatch& batch) : tables(batch.tables), extras(batch.extras) {
  rows.reserve(batch.rows.size());
  std::uint32_t previous = 0;
  for (const AttentionRow& from : batch.rows) {
    check_row(batch, from);
    add_row(batch, from, runs.empty() || from.sequence != previous);
    previous = from.sequence;
  }
  if (batch.share_prefixes && runs.size() > 1) group_runs();
}

void CpuAttentionPlan::add_row(const AttentionBatch& batch, const AttentionRow& from, bool new_run) {
  Row row{from.prefix, from.extra_begin, from.extra_count, batch.table_begin[from.sequence]};
  while (row.extra_count > 0 && extras[row.extra_begin] == row.prefix) {
    ++row.prefix;
    ++row.extra_begin;
    --row.extra_count;
  }
  const std::uint32_t plain = row.prefix / kPageSlots;
  if (new_run || runs.back().count == kRunRows) runs.push_back({static_cast<std::uint32_t>(rows.size()), 0, plain, 0});
  ++runs.back().count;
  runs.back().plain = std::min(runs.back().plain, plain);
  rows.push_back(row);
}

/// Sorted by their pages, runs with a common prefix of any length are neighbours, and `shared` of each says the tree.
void CpuAttentionPlan::group_runs() {
  const auto begin = [&](const Run& run) { return tables.begin() + rows[run.first].table; };
  std::stable_sort(runs.begin(), runs.end(), [&](const Run& a, const Run& b) {
    return std::lexicographical_compare(begin(a), begin(a) + a.plain, begin(b), begin(b) + b.plain);
  });
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const std::uint32_t most = std::min(runs[i - 1].plain, runs[i].plain);
    const auto end = begin(runs[i]) + most;
    runs[i].shared = static_cast<std::uint32_t>(std::mismatch(begin(runs[i]), end, begin(runs[i - 1])).first - begin(runs[i]));
  }
}

}  // namespace troupe::backend::cpu
