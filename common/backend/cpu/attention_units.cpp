#include "common/backend/cpu/attention_units.hpp"

#include <algorithm>

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kMostRows = 64;       // of a unit: their running results stay near a core
constexpr std::uint32_t kEnoughQueries = 24;  // among which a page's conversion to floats is small

/// Walks the tree that `shared` of the plan's runs describes, from the root down.
class Segmenter {
 public:
  explicit Segmenter(const AttentionCall& call) : plan_(*call.plan), window_(call.params.window) {}

  [[nodiscard]] std::vector<Segment> of(std::uint32_t run_begin, std::uint32_t run_end) {
    segments_.clear();
    descend(run_begin, run_end, 0);
    return std::move(segments_);
  }

 private:
  void descend(std::uint32_t begin, std::uint32_t end, std::uint32_t from) {
    if (end - begin == 1) return add({begin, end, from, splits_of(begin)});
    std::uint32_t common = UINT32_MAX;
    for (std::uint32_t run = begin + 1; run < end; ++run) common = std::min(common, plan_.runs[run].shared);
    add({begin, end, from, common});
    for (std::uint32_t run = begin; run < end;) {
      std::uint32_t stop = run + 1;
      while (stop < end && plan_.runs[stop].shared > common) ++stop;
      descend(run, stop, common);
      run = stop;
    }
  }

  /// Without what no row sees through its window.
  void add(Segment segment) {
    std::uint32_t first = UINT32_MAX;
    for (std::uint32_t run = segment.run_begin; run < segment.run_end; ++run)
      for (std::uint32_t i = 0; i < plan_.runs[run].count; ++i)
        first = std::min(first, first_key(plan_.rows[plan_.runs[run].first + i], window_) / kPageSlots);
    segment.split_begin = std::max(segment.split_begin, first);
    if (segment.split_begin < segment.split_end) segments_.push_back(segment);
  }

  [[nodiscard]] std::uint32_t splits_of(std::uint32_t run) const {
    std::uint32_t keys = 0;
    for (std::uint32_t i = 0; i < plan_.runs[run].count; ++i)
      keys = std::max(keys, plan_.rows[plan_.runs[run].first + i].keys());
    return (keys + kPageSlots - 1) / kPageSlots;
  }

  const CpuAttentionPlan& plan_;
  std::uint32_t window_;
  std::vector<Segment> segments_;
};

/// Ends of groups of neighbouring runs with common first pages, of at most `most` rows.
std::vector<std::uint32_t> group_ends(const CpuAttentionPlan& plan, std::uint32_t most) {
  std::vector<std::uint32_t> ends;
  std::uint32_t rows = 0;
  for (std::uint32_t run = 0; run < plan.runs.size(); ++run) {
    if (run > 0 && (plan.runs[run].shared == 0 || rows + plan.runs[run].count > most)) {
      ends.push_back(run);
      rows = 0;
    }
    rows += plan.runs[run].count;
  }
  if (!plan.runs.empty()) ends.push_back(static_cast<std::uint32_t>(plan.runs.size()));
  return ends;
}

}  // namespace

std::uint32_t slots_below(std::uint32_t index, std::uint32_t split) {
  const std::uint32_t start = split * kPageSlots;
  return index <= start ? 0 : std::min(index - start, kPageSlots);
}

std::uint32_t first_key(const CpuAttentionPlan::Row& row, std::uint32_t window) {
  return window != 0 && row.keys() > window ? row.keys() - window : 0;
}

Visible visible(const CpuAttentionPlan::Row& row, std::uint32_t window, std::uint32_t split) {
  return {slots_below(first_key(row, window), split), slots_below(row.keys(), split)};
}

std::uint32_t splits_of(const CpuAttentionPlan& plan) {
  std::uint32_t splits = 0;
  for (const CpuAttentionPlan::Row& row : plan.rows) splits = std::max(splits, (row.keys() + kPageSlots - 1) / kPageSlots);
  return splits;
}

std::uint32_t Unit::run_begin() const {
  std::uint32_t run = UINT32_MAX;
  for (const Segment& segment : segments) run = std::min(run, segment.run_begin);
  return run;
}

std::uint32_t Unit::run_end() const {
  std::uint32_t run = 0;
  for (const Segment& segment : segments) run = std::max(run, segment.run_end);
  return run;
}

std::vector<Unit> make_units(const AttentionCall& call, std::uint32_t wanted) {
  const std::uint32_t group = call.params.heads / call.layout.kv_heads;
  std::uint32_t most = kMostRows;
  std::vector<std::uint32_t> ends = group_ends(*call.plan, most);
  while (ends.size() * call.layout.kv_heads < wanted && most / 2 * group >= kEnoughQueries) {
    most /= 2;
    ends = group_ends(*call.plan, most);
  }
  std::vector<Unit> units;
  Segmenter segmenter(call);
  std::uint32_t begin = 0;
  for (const std::uint32_t end : ends) {
    const std::vector<Segment> segments = segmenter.of(begin, end);
    for (std::uint32_t head = 0; head < call.layout.kv_heads; ++head) units.push_back({head, segments});
    begin = end;
  }
  return units;
}

std::vector<Unit> cut_units(const std::vector<Unit>& units, std::uint32_t wanted) {
  std::uint32_t splits = 0;
  for (const Unit& unit : units)
    for (const Segment& segment : unit.segments) splits += segment.split_end - segment.split_begin;
  const std::uint32_t step = std::max(1U, splits / std::max(1U, wanted));
  std::vector<Unit> cut;
  for (const Unit& unit : units)
    for (const Segment& segment : unit.segments)
      for (std::uint32_t at = segment.split_begin; at < segment.split_end; at += step) {
        Segment piece = segment;
        piece.split_begin = at;
        piece.split_end = std::min(segment.split_end, at + step);
        cut.push_back({unit.head, {piece}});
      }
  return cut;
}

const UnitSet& units_of(const AttentionCall& call, std::uint32_t wanted) {
  const std::uint32_t kv_heads = call.layout.kv_heads;
  for (const auto& set : call.plan->unit_sets)
    if (set->window == call.params.window && set->heads == call.params.heads && set->kv_heads == kv_heads &&
        set->wanted == wanted)
      return *set;
  auto set = std::make_shared<UnitSet>(UnitSet{call.params.window, call.params.heads, kv_heads, wanted, {}, {}});
  set->units = make_units(call, wanted);
  if (set->units.size() < wanted && splits_of(*call.plan) >= 2) set->pieces = cut_units(set->units, wanted);
  call.plan->unit_sets.push_back(set);
  return *set;
}

}  // namespace troupe::backend::cpu
