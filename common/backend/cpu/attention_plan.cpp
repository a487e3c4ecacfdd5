#include "common/backend/cpu/attention.hpp"

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
    Row row{from.prefix, from.extra_begin, from.extra_count, batch.table_begin[from.sequence]};
    while (row.extra_count > 0 && extras[row.extra_begin] == row.prefix) {
      ++row.prefix;
      ++row.extra_begin;
      --row.extra_count;
    }
    if (runs.empty() || from.sequence != previous) runs.push_back({static_cast<std::uint32_t>(rows.size()), 0});
    ++runs.back().count;
    previous = from.sequence;
    rows.push_back(row);
  }
}

}  // namespace troupe::backend::cpu
