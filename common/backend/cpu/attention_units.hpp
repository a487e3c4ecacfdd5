#pragma once
// Cuts an attention call into units that threads work through on their own: the rows of neighbouring runs against one kv
// head, split by split in ascending order, those that lie in common pages together.
#include <cstdint>
#include <vector>

#include "common/backend/cpu/attention.hpp"

namespace troupe::backend::cpu {

[[nodiscard]] std::uint32_t slots_below(std::uint32_t index, std::uint32_t split);
[[nodiscard]] std::uint32_t first_key(const CpuAttentionPlan::Row& row, std::uint32_t window);
/// Of the longest row.
[[nodiscard]] std::uint32_t splits_of(const CpuAttentionPlan& plan);
[[nodiscard]] Visible visible(const CpuAttentionPlan::Row& row, std::uint32_t window, std::uint32_t split);

/// Splits [begin, end) of some runs, whose pages there are the same.
struct Segment {
  std::uint32_t run_begin = 0;
  std::uint32_t run_end = 0;
  std::uint32_t split_begin = 0;
  std::uint32_t split_end = 0;
};

/// All splits of some runs, or of one segment.
struct Unit {
  std::uint32_t head = 0;
  std::vector<Segment> segments;  ///< for each row ascending
  [[nodiscard]] std::uint32_t run_begin() const;
  [[nodiscard]] std::uint32_t run_end() const;
};

/// How a plan's work is cut for layers of one kind.
struct UnitSet {
  std::uint32_t window = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t wanted = 0;
  std::vector<Unit> units;
  std::vector<Unit> pieces;  ///< cut along the keys as well, where there are fewer units than wanted
};

/// The plan's set for this call, made where there is none yet.
[[nodiscard]] const UnitSet& units_of(const AttentionCall& call, std::uint32_t wanted);

/// Neighbouring runs with common pages, cut so that at least `wanted` units come about where groups are large enough.
[[nodiscard]] std::vector<Unit> make_units(const AttentionCall& call, std::uint32_t wanted);
/// Cuts units along the keys into pieces of one segment each, until there are about `wanted`.
[[nodiscard]] std::vector<Unit> cut_units(const std::vector<Unit>& units, std::uint32_t wanted);

/// Writes the outputs of a unit's rows for its head. `next`: the unit this thread does after it, or null.
void finish_unit(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch);
/// Stores each split's partial at `partials` [row, head, splits, 2 + padded value_dim] instead.
void store_partials(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch,
                    float* partials, std::uint32_t splits);

}  // namespace troupe::backend::cpu
