#include <algorithm>
#include <cstring>
#include <span>

#include "common/backend/cpu/attention_units.hpp"
#include "common/tensor/half.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kS = kPageSlots;

using Row = CpuAttentionPlan::Row;

/// Works through the splits of one unit. Rows are numbered in the order of the unit's runs, queries are rows x heads.
class UnitRun {
  using Seen = AttentionScratch::Seen;

 public:
  UnitRun(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch)
      : call_(call), unit_(unit), next_(next), s_(scratch), group_(call.params.heads / call.layout.kv_heads),
        key_dim_(call.layout.key_dim), value_dim_(call.layout.value_dim), padded_((value_dim_ + 15) / 16 * 16),
        half_(call.layout.dtype == DType::f16), codes_(call.layout.dtype == DType::i8), first_run_(unit.run_begin()),
        rows_(s_.rows), run_rows_(s_.run_rows), plain_(s_.plain), gathered_(s_.gathered) {
    rows_.clear();
    run_rows_.clear();
    for (std::uint32_t run = first_run_; run < unit.run_end(); ++run) {
      run_rows_.push_back(static_cast<std::uint32_t>(rows_.size()));
      for (std::uint32_t i = 0; i < call.plan->runs[run].count; ++i) rows_.push_back(call.plan->runs[run].first + i);
    }
    run_rows_.push_back(static_cast<std::uint32_t>(rows_.size()));
    const std::size_t queries = rows_.size() * group_;
    s_.keys.resize(std::size_t{key_dim_} * kS);
    s_.values.resize(std::size_t{kS} * padded_);
    s_.scores.resize(queries * kS);
    s_.part.resize(queries * padded_);
    s_.running.resize(queries * padded_);
    s_.sums.resize(queries);
    s_.pointers.resize(queries);
    s_.queries.resize(queries);
    s_.outputs.resize(queries);
    s_.started.assign(queries, 0);
    for (std::uint32_t query = 0; query < queries; ++query) {
      s_.queries[query] = call.q + rows_[query / group_] * call.q_stride + head_of(query) * std::size_t{key_dim_};
      s_.outputs[query] = running(query);
    }
  }

  /// Merges every split into the running result and writes the output.
  void finish_all() {
    run_all();
    for (std::uint32_t query = 0; query < s_.outputs.size(); ++query)
      call_.kernels->divide(running(query), s_.sums[query].sum, value_dim_,
                            call_.out + rows_[query / group_] * call_.out_stride + head_of(query) * std::size_t{value_dim_});
  }

  /// Stores each split's partial: `partials` [row, head, splits, 2 + padded value_dim].
  void store_partials(float* partials, std::uint32_t splits) {
    partials_ = partials;
    splits_ = splits;
    run_all();
  }

 private:
  struct Tile {
    const void* keys;    ///< [key_dim, 64]
    const void* values;  ///< [64, padded value_dim]
    bool half;
    const void* after_keys = nullptr;  ///< to be asked for while keys are read; null: neither need be
    const void* after_values = nullptr;
  };

  void run_all() {
    for (const Segment& segment : unit_.segments) {
      row_begin_ = run_rows_[segment.run_begin - first_run_];
      row_end_ = run_rows_[segment.run_end - first_run_];
      split_end_ = segment.split_end;
      for (std::uint32_t split = segment.split_begin; split < segment.split_end; ++split) run_split(split);
    }
  }

  [[nodiscard]] std::uint32_t head_of(std::uint32_t query) const { return unit_.head * group_ + query % group_; }
  [[nodiscard]] float* running(std::uint32_t query) { return s_.running.data() + std::size_t{query} * padded_; }
  /// Where a query's partial of a split is stored: maximum, sum, outputs.
  [[nodiscard]] float* stored(std::uint32_t query, std::uint32_t split) {
    const std::size_t at = std::size_t{rows_[query / group_]} * call_.params.heads + head_of(query);
    return partials_ + (at * splits_ + split) * (padded_ + 2);
  }
  [[nodiscard]] const Row& row(std::uint32_t r) const { return call_.plan->rows[rows_[r]]; }
  /// Of the segment's first row: its others have the same one, or it has no others.
  [[nodiscard]] const std::byte* page(std::uint32_t index) const {
    return call_.pages + call_.plan->tables[row(row_begin_).table + index] * call_.layout.layer_page_bytes();
  }
  [[nodiscard]] std::size_t element() const { return codes_ ? 1 : half_ ? 2 : 4; }
  [[nodiscard]] const std::byte* page_keys(std::uint32_t index) const {
    return page(index) + std::size_t{unit_.head} * key_dim_ * kS * element();
  }
  [[nodiscard]] const std::byte* page_values(std::uint32_t index) const {
    return page(index) + (std::size_t{call_.layout.kv_heads} * key_dim_ + std::size_t{unit_.head} * value_dim_) * kS * element();
  }
  /// Where pages hold codes, of the K of this unit's head; else null.
  [[nodiscard]] const std::uint16_t* key_scales(std::uint32_t index) const {
    return codes_ ? reinterpret_cast<const std::uint16_t*>(page(index) + call_.layout.scales_offset(unit_.head)) : nullptr;
  }
  [[nodiscard]] const std::uint16_t* value_scales(std::uint32_t index) const {
    return codes_ ? key_scales(index) + std::size_t{call_.layout.kv_heads} * kS : nullptr;
  }
  /// Codes become floats without their scales, which go to scores and weights.
  void floats(const std::byte* from, std::size_t count, float* to) const {
    if (codes_) return call_.kernels->from_codes(reinterpret_cast<const std::int8_t*>(from), count, to);
    if (half_)
      call_.kernels->from_half(reinterpret_cast<const std::uint16_t*>(from), count, to);
    else
      std::memcpy(to, from, count * 4);
  }

  /// Floats of the page's keys in columns [begin, end), rounded outwards to 16, and of its values.
  void copy_tile(std::uint32_t split, Visible part) {
    if (codes_) {
      std::copy_n(key_scales(split), kS, s_.key_scales.data());
      std::copy_n(value_scales(split), kS, s_.value_scales.data());
    }
    const std::uint32_t first = part.begin / 16 * 16;
    const std::uint32_t count = (part.end + 15) / 16 * 16 - first;
    const std::byte* keys = page_keys(split) + first * element();
    if (count == kS)
      floats(keys, std::size_t{key_dim_} * kS, s_.keys.data());
    else
      for (std::uint32_t c = 0; c < key_dim_; ++c, keys += kS * element())
        floats(keys, count, s_.keys.data() + std::size_t{c} * kS + first);
    const std::byte* values = page_values(split) + std::size_t{part.begin} * value_dim_ * element();
    float* to = s_.values.data() + std::size_t{part.begin} * padded_;
    if (padded_ == value_dim_) return floats(values, std::size_t{part.end - part.begin} * value_dim_, to);
    for (std::uint32_t slot = part.begin; slot < part.end; ++slot, values += value_dim_ * element(), to += padded_)
      floats(values, value_dim_, to);
  }

  /// Puts a row's extras where they count: columns [from, end) of the tile in scratch.
  void gather(const Row& at, std::uint32_t split, std::uint32_t from, std::uint32_t end) {
    for (std::uint32_t slot = from; slot < end; ++slot) {
      const std::uint32_t index = call_.plan->extras[at.extra_begin + split * kS + slot - at.prefix];
      const std::byte* keys = page_keys(index / kS) + index % kS * element();
      for (std::uint32_t c = 0; c < key_dim_; ++c, keys += kS * element()) {
        std::uint16_t bits = 0;
        float& to = s_.keys[std::size_t{c} * kS + slot];
        if (codes_) {
          to = static_cast<float>(static_cast<std::int8_t>(*keys));
        } else if (half_) {
          std::memcpy(&bits, keys, 2);
          to = half_to_float(bits);
        } else {
          std::memcpy(&to, keys, 4);
        }
      }
      floats(page_values(index / kS) + index % kS * value_dim_ * element(), value_dim_,
             s_.values.data() + std::size_t{slot} * padded_);
      if (!codes_) continue;
      s_.key_scales[slot] = key_scales(index / kS)[index % kS];
      s_.value_scales[slot] = value_scales(index / kS)[index % kS];
    }
  }

  void run_split(std::uint32_t split) {
    ++s_.page_visits;
    plain_.clear();
    gathered_.clear();
    Visible all{kS, 0};  // what the plain rows see between them
    bool equal = true;   // each of them sees just that
    for (std::uint32_t r = row_begin_; r < row_end_; ++r) {
      const Visible seen = visible(row(r), call_.params.window, split);
      if (seen.none()) continue;
      const bool gathers = split * kS + seen.end > row(r).prefix;
      (gathers ? gathered_ : plain_).push_back({r, seen});
      if (gathers) continue;
      equal = equal && (plain_.size() == 1 || (seen.begin == all.begin && seen.end == all.end));
      all = {std::min(all.begin, seen.begin), std::max(all.end, seen.end)};
    }
    if (!plain_.empty()) {
      const auto rows = static_cast<std::uint32_t>(plain_.size());
      equal = equal && plain_.back().r - plain_.front().r + 1 == rows;
      Tile tile{s_.keys.data(), s_.values.data(), false};
      const bool reads = reads_pages(rows, equal);
      if (reads)
        tile = {page_keys(split), page_values(split), half_, page_values(split), keys_after(split)};
      else
        copy_tile(split, all);
      equal && (reads || !codes_) ? rows_on_page(plain_.front().r, rows, all, split, tile) : rows_on_tile(plain_, all, split, tile);
    }
    std::uint32_t clean = 0;  // columns of the tile in scratch that are the page's own
    for (const Seen& one : gathered_) {
      const Row& at = row(one.r);
      const std::uint32_t own = slots_below(at.prefix, split);
      if (one.seen.begin < own && clean < own) {
        copy_tile(split, {0, own});
        clean = own;
      }
      const std::uint32_t from = std::max(own, one.seen.begin);
      gather(at, split, from, one.seen.end);
      clean = std::min(clean, from);
      rows_on_tile({&one, 1}, one.seen, split, {s_.keys.data(), s_.values.data(), false});
    }
  }

  /// Neighbouring rows that see the same of the split, in one go.
  void rows_on_page(std::uint32_t first, std::uint32_t rows, Visible seen, std::uint32_t split, const Tile& tile) {
    const std::uint32_t begin = first * group_;
    const std::uint32_t queries = rows * group_;
    if (partials_ != nullptr)
      for (std::uint32_t i = begin; i < begin + queries; ++i) s_.outputs[i] = stored(i, split) + 2;
    call_.kernels->attend({.q = s_.queries.data() + begin, .queries = queries, .keys = tile.keys, .values = tile.values,
                           .half = tile.half, .key_scales = key_scales(split), .value_scales = value_scales(split),
                           .after_keys = tile.after_keys, .after_values = tile.after_values,
                           .key_dim = key_dim_, .value_cols = padded_, .scale = call_.params.scale,
                           .softcap = call_.params.softcap, .sums = s_.sums.data() + begin, .out = s_.outputs.data() + begin,
                           .started = s_.started.data() + begin, .begin = seen.begin, .end = seen.end});
    if (partials_ == nullptr)
      std::fill_n(s_.started.begin() + begin, queries, std::uint8_t{1});
    else
      for (std::uint32_t i = begin; i < begin + queries; ++i) {
        s_.outputs[i][-2] = s_.sums[i].max;
        s_.outputs[i][-1] = s_.sums[i].sum;
      }
  }

  /// Keys of the page that is read after this split's, which the hardware cannot foresee.
  [[nodiscard]] const std::byte* keys_after(std::uint32_t split) const {
    if (split + 1 < split_end_) return page_keys(split + 1);
    if (next_ == nullptr || next_->segments.empty()) return page_keys(split);
    const Segment& first = next_->segments.front();
    const Row& row = call_.plan->rows[call_.plan->runs[first.run_begin].first];
    return call_.pages + call_.plan->tables[row.table + first.split_begin] * call_.layout.layer_page_bytes() +
           std::size_t{next_->head} * key_dim_ * kS * element();
  }

  /// Whether the kernels read the page itself: floats always, halves in one go or when few rows share their conversion, codes
  /// in one go.
  [[nodiscard]] bool reads_pages(std::uint32_t rows, bool in_one_go) const {
    const bool few = half_ && rows * group_ <= call_.kernels->direct_rows;
    return padded_ == value_dim_ && (in_one_go || few || !(half_ || codes_));
  }

  void rows_on_tile(std::span<const Seen> rows, Visible all, std::uint32_t split, const Tile& tile) {
    std::uint32_t queries = 0;
    for (const Seen& one : rows)
      for (std::uint32_t h = 0; h < group_; ++h)
        s_.pointers[queries++] = s_.queries[one.r * group_ + h];
    const std::uint32_t first = all.begin / 16 * 16;  // scores of other columns stay as they were and are masked
    call_.kernels->tile({.a = s_.pointers.data(), .rows = queries,
                         .b = static_cast<const std::byte*>(tile.keys) + first * (tile.half ? 2U : 4U), .half = tile.half,
                         .b_stride = kS, .k_begin = 0, .k_end = key_dim_, .c = s_.scores.data() + first, .c_stride = kS,
                         .cols = (all.end + 15) / 16 * 16 - first, .accumulate = false, .next = tile.after_keys});
    if (s_.parts.size() < queries) s_.parts.resize(queries);
    for (std::uint32_t i = 0; i < queries; ++i) {
      const Visible seen = rows[i / group_].seen;
      s_.pointers[i] = s_.scores.data() + std::size_t{i} * kS;
      if (codes_) call_.kernels->times_halves(s_.scores.data() + std::size_t{i} * kS, s_.key_scales.data(), kS);
      s_.parts[i] = call_.kernels->softmax({.scores = s_.scores.data() + std::size_t{i} * kS, .begin = seen.begin,
                                          .end = seen.end, .scale = call_.params.scale, .softcap = call_.params.softcap});
    }
    for (std::uint32_t i = 0; codes_ && i < queries; ++i)
      call_.kernels->times_halves(s_.scores.data() + std::size_t{i} * kS, s_.value_scales.data(), kS);
    weigh_values(rows, queries, tile);
    for (std::uint32_t i = 0; i < queries; ++i) {
      const std::uint32_t r = rows[i / group_].r;
      keep_part(r, i % group_, s_.parts[i], s_.part.data() + std::size_t{i} * padded_, split);
    }
  }

  /// part = weights x values over each query's visible keys only: what all see together at once, the rest one by one,
  /// in ascending order. (A hidden key may hold anything.)
  void weigh_values(std::span<const Seen> rows, std::uint32_t queries, const Tile& tile) {
    Visible common{0, kS};
    bool equal = true;
    for (const Seen& one : rows) {
      common = {std::max(common.begin, one.seen.begin), std::min(common.end, one.seen.end)};
      equal = equal && one.seen.begin == rows[0].seen.begin && one.seen.end == rows[0].seen.end;
    }
    TileJob job{.a = s_.pointers.data(), .rows = queries, .b = tile.values, .half = tile.half, .b_stride = padded_,
                .k_begin = common.begin, .k_end = common.end, .c = s_.part.data(), .c_stride = padded_, .cols = padded_, .accumulate = !equal,
                .next = tile.after_values};
    if (equal) return call_.kernels->tile(job);
    std::fill_n(s_.part.data(), std::size_t{queries} * padded_, 0.0F);
    if (common.none()) common = {kS, kS};  // nothing shared: all of it is "before"
    each_query(rows, queries, job, [&](Visible seen) { return Visible{seen.begin, std::min(seen.end, common.begin)}; });
    job.k_begin = common.begin;
    job.k_end = common.end;
    if (!common.none()) call_.kernels->tile(job);
    each_query(rows, queries, job, [&](Visible seen) { return Visible{std::max(seen.begin, common.end), seen.end}; });
  }

  template <class Range>
  void each_query(std::span<const Seen> rows, std::uint32_t queries, TileJob job, const Range& range) {
    job.rows = 1;
    job.next = nullptr;
    for (std::uint32_t i = 0; i < queries; ++i) {
      const Visible keys = range(rows[i / group_].seen);
      if (keys.none()) continue;
      job.a = s_.pointers.data() + i;
      job.c = s_.part.data() + std::size_t{i} * padded_;
      job.k_begin = keys.begin;
      job.k_end = keys.end;
      call_.kernels->tile(job);
    }
  }

  void keep_part(std::uint32_t r, std::uint32_t h, const SoftmaxPart& part, const float* part_out, std::uint32_t split) {
    const std::uint32_t query = r * group_ + h;
    if (partials_ != nullptr) {
      float* to = stored(query, split);
      to[0] = part.max;
      to[1] = part.sum;
      std::memcpy(to + 2, part_out, std::size_t{value_dim_} * 4);
      return;
    }
    if (s_.started[query] != 0) return call_.kernels->merge(s_.sums[query], running(query), part, part_out, value_dim_);
    s_.started[query] = 1;
    s_.sums[query] = part;
    std::memcpy(running(query), part_out, std::size_t{value_dim_} * 4);
  }

  const AttentionCall& call_;
  const Unit& unit_;
  const Unit* next_;
  AttentionScratch& s_;
  std::uint32_t group_;
  std::uint32_t key_dim_;
  std::uint32_t value_dim_;
  std::uint32_t padded_;
  bool half_;
  bool codes_;
  std::uint32_t first_run_;
  std::vector<std::uint32_t>& rows_;
  std::vector<std::uint32_t>& run_rows_;
  std::vector<Seen>& plain_;
  std::vector<Seen>& gathered_;
  std::uint32_t row_begin_ = 0;          ///< of the segment at work
  std::uint32_t row_end_ = 0;
  std::uint32_t split_end_ = 0;
  float* partials_ = nullptr;  ///< null: merged at once
  std::uint32_t splits_ = 0;
};

}  // namespace

void finish_unit(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch) {
  UnitRun(call, unit, next, scratch).finish_all();
}

void store_partials(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch,
                    float* partials, std::uint32_t splits) {
  UnitRun(call, unit, next, scratch).store_partials(partials, splits);
}

}  // namespace troupe::backend::cpu
