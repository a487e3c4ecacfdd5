#include "common/backend/cpu/attention.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "common/tensor/half.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kS = kPageSlots;
constexpr std::uint32_t kBlockQueries = 48;  // rows x query heads that share a tile
constexpr std::uint32_t kBlockRows = 16;

using Row = CpuAttentionPlan::Row;

using Unit = AttentionUnit;
using Visible = VisibleKeys;

std::uint32_t within(std::uint32_t index, std::uint32_t split) {
  const std::uint32_t start = split * kS;
  return index <= start ? 0 : std::min(index - start, kS);
}

std::uint32_t first_key(const Row& row, std::uint32_t window) {
  return window != 0 && row.keys() > window ? row.keys() - window : 0;
}

Visible visible(const Row& row, std::uint32_t window, std::uint32_t split) {
  return {within(first_key(row, window), split), within(row.keys(), split)};
}

/// Works through the splits of one unit.
class UnitRun {
  using Seen = AttentionScratch::Seen;

 public:
  /// `next` is the unit this thread does after it, or null.
  UnitRun(const AttentionCall& call, const Unit& unit, const Unit* next, AttentionScratch& scratch)
      : call_(call), unit_(unit), next_(next), s_(scratch), plain_(s_.plain), gathered_(s_.gathered),
        group_(call.params.heads / call.layout.kv_heads), key_dim_(call.layout.key_dim), value_dim_(call.layout.value_dim),
        padded_((value_dim_ + 15) / 16 * 16), half_(call.layout.dtype == DType::f16), head_(unit.head) {
    const std::size_t queries = std::size_t{unit.count} * group_ * unit.heads;
    const auto grow = [](auto& memory, std::size_t size) {
      if (memory.size() < size) memory.resize(size);
    };
    grow(s_.keys, std::size_t{key_dim_} * kS);
    grow(s_.values, std::size_t{kS} * padded_);
    grow(s_.scores, queries * kS);
    grow(s_.part, queries * padded_);
    grow(s_.running, queries * padded_);
    grow(s_.sums, queries);
    grow(s_.parts, queries);
    grow(s_.pointers, queries);
    s_.started.assign(queries, 0);
  }

  /// Merges every split into the running result and writes the output.
  void finish_all() {
    for (std::uint32_t split = unit_.split_begin; split < unit_.split_end; ++split) run_split(split, nullptr, 0);
    each_head([&] {
      for (std::uint32_t r = 0; r < unit_.count; ++r)
        for (std::uint32_t h = 0; h < group_; ++h)
          call_.kernels->divide(running(query(r, h)), s_.sums[query(r, h)].sum, value_dim_, out(r, h));
    });
  }

  /// Stores each split's partial: `partials` [row, head, splits, 2 + padded value_dim].
  void store_partials(float* partials, std::uint32_t splits) {
    for (std::uint32_t split = unit_.split_begin; split < unit_.split_end; ++split) run_split(split, partials, splits);
  }

 private:
  /// body() for each head of the unit, as head_.
  template <class Body>
  void each_head(const Body& body) {
    for (head_ = unit_.head; head_ < unit_.head + unit_.heads; ++head_) body();
  }
  /// Index of the first query of head_ in working memory; then of one of its queries.
  [[nodiscard]] std::uint32_t first_query() const { return (head_ - unit_.head) * unit_.count * group_; }
  [[nodiscard]] std::uint32_t query(std::uint32_t r, std::uint32_t h) const { return first_query() + r * group_ + h; }
  [[nodiscard]] float* scores(std::uint32_t i) { return s_.scores.data() + std::size_t{first_query() + i} * kS; }
  [[nodiscard]] float* running(std::uint32_t query) { return s_.running.data() + std::size_t{query} * padded_; }
  [[nodiscard]] float* out(std::uint32_t r, std::uint32_t h) {
    return call_.out + (unit_.first + r) * call_.out_stride + (head_ * group_ + h) * std::size_t{value_dim_};
  }
  [[nodiscard]] const Row& row(std::uint32_t r) const { return call_.plan->rows[unit_.first + r]; }
  [[nodiscard]] const std::byte* page(const Unit& unit, std::uint32_t index) const {
    return call_.pages + call_.plan->tables[call_.plan->rows[unit.first].table + index] * call_.layout.layer_page_bytes();
  }
  [[nodiscard]] std::size_t element() const { return half_ ? 2 : 4; }
  [[nodiscard]] const std::byte* page_keys(const Unit& unit, std::uint32_t head, std::uint32_t index) const {
    return page(unit, index) + std::size_t{head} * key_dim_ * kS * element();
  }
  [[nodiscard]] const std::byte* page_keys(std::uint32_t index) const { return page_keys(unit_, head_, index); }
  [[nodiscard]] const std::byte* page_values(std::uint32_t index) const {
    return page(unit_, index) + (std::size_t{call_.layout.kv_heads} * key_dim_ + std::size_t{head_} * value_dim_) * kS * element();
  }
  void floats(const std::byte* from, std::size_t count, float* to) const {
    if (half_)
      call_.kernels->from_half(reinterpret_cast<const std::uint16_t*>(from), count, to);
    else
      std::memcpy(to, from, count * 4);
  }

  /// Floats of the page's keys in columns [begin, end), rounded outwards to 16, and of its values.
  void copy_tile(std::uint32_t split, Visible part) {
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
        if (half_) {
          std::memcpy(&bits, keys, 2);
          to = half_to_float(bits);
        } else {
          std::memcpy(&to, keys, 4);
        }
      }
      floats(page_values(index / kS) + index % kS * value_dim_ * element(), value_dim_,
             s_.values.data() + std::size_t{slot} * padded_);
    }
  }

  void run_split(std::uint32_t split, float* partials, std::uint32_t splits) {
    plain_.clear();
    gathered_.clear();
    Visible all{kS, 0};  // what the plain rows see between them
    for (std::uint32_t r = 0; r < unit_.count; ++r) {
      const Visible seen = visible(row(r), call_.params.window, split);
      if (seen.none()) continue;
      const bool gathers = split * kS + seen.end > row(r).prefix;
      (gathers ? gathered_ : plain_).push_back({r, seen});
      if (!gathers) all = {std::min(all.begin, seen.begin), std::max(all.end, seen.end)};
    }
    if (!plain_.empty() && reads_pages()) {
      // A page holds all its keys before its values: heads in turn read it from first to last.
      each_head([&] { score(plain_, all, direct_tile(split)); });
      each_head([&] { weigh(plain_, split, direct_tile(split), partials, splits); });
    } else if (!plain_.empty()) {
      each_head([&] {
        copy_tile(split, all);
        score(plain_, all, scratch_tile());
        weigh(plain_, split, scratch_tile(), partials, splits);
      });
    }
    each_head([&] { run_gathered(split, partials, splits); });
  }

  void run_gathered(std::uint32_t split, float* partials, std::uint32_t splits) {
    std::uint32_t clean = 0;  // columns of the tile in scratch that are the page's own
    for (const Seen& one : gathered_) {
      const Row& at = row(one.r);
      const std::uint32_t own = within(at.prefix, split);
      if (one.seen.begin < own && clean < own) {
        copy_tile(split, {0, own});
        clean = own;
      }
      const std::uint32_t from = std::max(own, one.seen.begin);
      gather(at, split, from, one.seen.end);
      clean = std::min(clean, from);
      score({&one, 1}, one.seen, scratch_tile());
      weigh({&one, 1}, split, scratch_tile(), partials, splits);
    }
  }

  struct Tile {
    const void* keys;    ///< [key_dim, 64]
    const void* values;  ///< [64, padded value_dim]
    bool half;
    const void* after_keys = nullptr;  ///< to ask memory for while the keys are read
    const void* after_values = nullptr;
  };
  [[nodiscard]] Tile scratch_tile() const { return {s_.keys.data(), s_.values.data(), false}; }

  /// The page itself, and what comes after it, which the hardware cannot foresee.
  [[nodiscard]] Tile direct_tile(std::uint32_t split) const {
    const std::byte* keys = page_keys(split);
    const std::byte* values = page_values(split);
    const bool last = head_ + 1 == unit_.head + unit_.heads;
    const std::byte* after_keys = last ? values - (unit_.heads - 1) * value_bytes() : keys + key_bytes();
    const std::byte* after_values = values + value_bytes();
    if (last && split + 1 < unit_.split_end)
      after_values = page_keys(unit_, unit_.head, split + 1);
    else if (last && next_ != nullptr)
      after_values = page_keys(*next_, next_->head, next_->split_begin);
    return {keys, values, half_, after_keys, after_values};
  }
  [[nodiscard]] std::size_t key_bytes() const { return std::size_t{key_dim_} * kS * element(); }
  [[nodiscard]] std::size_t value_bytes() const { return std::size_t{value_dim_} * kS * element(); }

  /// Whether the kernels read the page itself: floats always, halves when too few rows share their conversion.
  [[nodiscard]] bool reads_pages() const {
    return padded_ == value_dim_ && (!half_ || plain_.size() * group_ <= call_.kernels->direct_rows);
  }

  /// Scores of head_'s queries of `rows` with the tile's keys.
  void score(std::span<const Seen> rows, Visible all, const Tile& tile) {
    std::uint32_t queries = 0;
    for (const Seen& one : rows)
      for (std::uint32_t h = 0; h < group_; ++h)
        s_.pointers[queries++] = call_.q + (unit_.first + one.r) * call_.q_stride + (head_ * group_ + h) * std::size_t{key_dim_};
    const std::uint32_t first = all.begin / 16 * 16;  // scores of other columns stay as they were and are masked
    call_.kernels->tile({.a = s_.pointers.data(), .rows = queries,
                         .b = static_cast<const std::byte*>(tile.keys) + first * (tile.half ? 2U : 4U), .half = tile.half,
                         .b_stride = kS, .k_begin = 0, .k_end = key_dim_, .c = scores(0) + first, .c_stride = kS,
                         .cols = (all.end + 15) / 16 * 16 - first, .accumulate = false, .next = tile.after_keys});
  }

  /// Turns the scores into weights and those into partial results.
  void weigh(std::span<const Seen> rows, std::uint32_t split, const Tile& tile, float* partials, std::uint32_t splits) {
    const auto queries = static_cast<std::uint32_t>(rows.size()) * group_;
    for (std::uint32_t i = 0; i < queries; ++i) {
      const Visible seen = rows[i / group_].seen;
      s_.pointers[i] = scores(i);
      s_.parts[i] = call_.kernels->softmax({.scores = scores(i), .begin = seen.begin, .end = seen.end,
                                            .scale = call_.params.scale, .softcap = call_.params.softcap});
    }
    weigh_values(rows, queries, tile);
    for (std::uint32_t i = 0; i < queries; ++i) {
      const std::uint32_t r = rows[i / group_].r;
      keep_part(r, i % group_, s_.parts[i], s_.part.data() + std::size_t{i} * padded_, split, partials, splits);
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
                .k_begin = common.begin, .k_end = common.end, .c = s_.part.data(), .c_stride = padded_, .cols = padded_,
                .accumulate = !equal, .next = tile.after_values};
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

  void keep_part(std::uint32_t r, std::uint32_t h, const SoftmaxPart& part, const float* part_out, std::uint32_t split,
                 float* partials, std::uint32_t splits) {
    if (partials != nullptr) {
      const std::size_t query = std::size_t{unit_.first + r} * call_.params.heads + head_ * group_ + h;
      float* to = partials + (query * splits + split) * (padded_ + 2);
      to[0] = part.max;
      to[1] = part.sum;
      std::memcpy(to + 2, part_out, std::size_t{value_dim_} * 4);
      return;
    }
    const std::uint32_t i = query(r, h);
    if (s_.started[i] != 0) return call_.kernels->merge(s_.sums[i], running(i), part, part_out, value_dim_);
    s_.started[i] = 1;
    s_.sums[i] = part;
    std::memcpy(running(i), part_out, std::size_t{value_dim_} * 4);
  }

  const AttentionCall& call_;
  const Unit& unit_;
  const Unit* next_;
  AttentionScratch& s_;
  std::vector<Seen>& plain_;
  std::vector<Seen>& gathered_;
  std::uint32_t group_;
  std::uint32_t key_dim_;
  std::uint32_t value_dim_;
  std::uint32_t padded_;
  bool half_;
  std::uint32_t head_;  ///< the one at work
};

void make_units(const AttentionCall& call, std::vector<Unit>& units) {
  const std::uint32_t group = call.params.heads / call.layout.kv_heads;
  const std::uint32_t most = std::clamp(kBlockQueries / group, 1U, kBlockRows);
  units.clear();
  for (const CpuAttentionPlan::Run& run : call.plan->runs)
    for (std::uint32_t at = 0; at < run.count; at += most) {
      Unit unit{run.first + at, std::min(most, run.count - at), 0, 1, UINT32_MAX, 0};
      // Few rows read the pages themselves: all heads together, so that a page is one stream.
      if (unit.count * group <= call.kernels->direct_rows) unit.heads = call.layout.kv_heads;
      for (std::uint32_t r = unit.first; r < unit.first + unit.count; ++r) {
        const Row& row = call.plan->rows[r];
        unit.split_begin = std::min(unit.split_begin, first_key(row, call.params.window) / kS);
        unit.split_end = std::max(unit.split_end, (row.keys() + kS - 1) / kS);
      }
      for (unit.head = 0; unit.head < call.layout.kv_heads; unit.head += unit.heads) units.push_back(unit);
    }
}

/// Merges the stored partials of one query head in ascending order.
void merge_partials(const AttentionCall& call, std::uint32_t r, std::uint32_t head, float* partials, std::uint32_t splits) {
  const std::uint32_t value_dim = call.layout.value_dim;
  const std::size_t step = (value_dim + 15) / 16 * 16 + 2;
  const Row& row = call.plan->rows[r];
  float* all = partials + (std::size_t{r} * call.params.heads + head) * splits * step;
  const std::uint32_t first = first_key(row, call.params.window) / kS;
  float* into = all + first * step;
  SoftmaxPart total{into[0], into[1]};
  for (std::uint32_t split = first + 1; split < (row.keys() + kS - 1) / kS; ++split) {
    const float* part = all + split * step;
    call.kernels->merge(total, into + 2, {part[0], part[1]}, part + 2, value_dim);
  }
  call.kernels->divide(into + 2, total.sum, value_dim, call.out + r * call.out_stride + head * std::size_t{value_dim});
}

/// Cuts units along the keys until there is work for every thread.
void cut_units(const std::vector<Unit>& units, std::uint32_t wanted, std::vector<Unit>& cut) {
  const auto pieces = static_cast<std::uint32_t>((wanted + units.size() - 1) / units.size());
  cut.clear();
  for (const Unit& unit : units) {
    const std::uint32_t splits = unit.split_end - unit.split_begin;
    const std::uint32_t step = std::max(1U, (splits + pieces - 1) / pieces);
    for (std::uint32_t at = unit.split_begin; at < unit.split_end; at += step) {
      cut.push_back(unit);
      cut.back().split_begin = at;
      cut.back().split_end = std::min(unit.split_end, at + step);
    }
  }
}

}  // namespace

void run_attention(const AttentionCall& call, ThreadPool& pool, AttentionWork& work) {
  constexpr std::size_t kSmallWork = 100'000;  // products that one thread does sooner than two agree
  std::vector<Unit>& units = work.units;
  make_units(call, units);
  if (units.empty()) return;
  std::size_t products = 0;
  std::uint32_t splits = 0;
  for (const Unit& unit : units) {
    products += std::size_t{unit.split_end - unit.split_begin} * unit.count * unit.heads * kS;
    splits = std::max(splits, unit.split_end);
  }
  products *= std::size_t{call.params.heads / call.layout.kv_heads} * (call.layout.key_dim + call.layout.value_dim);
  const auto finish = [&](std::size_t begin, std::size_t end, std::uint32_t worker) {
    for (std::size_t i = begin; i < end; ++i)
      UnitRun(call, units[i], i + 1 < end ? &units[i + 1] : nullptr, work.threads[worker]).finish_all();
  };
  if (products < kSmallWork || pool.threads() == 1) return finish(0, units.size(), 0);
  const std::uint32_t wanted = 4 * pool.threads();
  if (units.size() >= wanted || splits < 2) {
    // Long units first would balance better, neighbours share pages: many short tasks are a middle way.
    const auto tasks = static_cast<std::uint32_t>(std::min<std::size_t>(units.size(), 8 * wanted));
    pool.run(tasks, [&](std::uint32_t task, std::uint32_t worker) {
      finish(units.size() * task / tasks, units.size() * (task + 1) / tasks, worker);
    });
    return;
  }
  cut_units(units, wanted, work.pieces);
  const std::size_t step = (call.layout.value_dim + 15) / 16 * 16 + 2;
  std::vector<float>& partials = work.partials;
  partials.resize(std::max(partials.size(), call.plan->rows.size() * call.params.heads * splits * step));
  pool.run(static_cast<std::uint32_t>(work.pieces.size()), [&](std::uint32_t task, std::uint32_t worker) {
    UnitRun(call, work.pieces[task], nullptr, work.threads[worker]).store_partials(partials.data(), splits);
  });
  for (std::uint32_t r = 0; r < call.plan->rows.size(); ++r)
    for (std::uint32_t head = 0; head < call.params.heads; ++head) merge_partials(call, r, head, partials.data(), splits);
}

}  // namespace troupe::backend::cpu
