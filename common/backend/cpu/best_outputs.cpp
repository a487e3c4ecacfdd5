#include "common/backend/cpu/best_outputs.hpp"

#include <algorithm>
#include <limits>

#include "common/backend/cpu/cpu_backend.hpp"

namespace troupe::backend::cpu {

void BestLists::begin(std::span<const std::int32_t> keep, std::uint32_t cols) {
  rows_.clear();
  std::size_t at = 0;
  for (const std::int32_t wanted : keep) {
    const auto most = static_cast<std::uint32_t>(wanted);
    const std::uint32_t room = most <= 1 ? most : std::max(2 * most, 32U);
    rows_.push_back({at, most, room, 0, -std::numeric_limits<float>::infinity()});
    at += room;
  }
  if (items_.size() < at) items_.resize(at);
  if (group_.size() < keep.size() * cols) group_.resize(keep.size() * cols);
}

void BestLists::drop_worst(Row& row) {
  Scored* list = items_.data() + row.begin;
  std::nth_element(list, list + (row.keep - 1), list + row.size, better);
  row.size = row.keep;
  row.floor = list[row.keep - 1].value;
}

void BestLists::offer(const Kernels& kernels, std::uint32_t row, const float* outputs, std::uint32_t count, std::int32_t first) {
  Row& into = rows_[row];
  Scored* list = items_.data() + into.begin;
  for (std::uint32_t i = 0; (i = kernels.next_reaching(outputs, i, count, into.floor)) < count; ++i) {
    const Scored one{outputs[i], first + static_cast<std::int32_t>(i)};
    if (into.keep == 1) {
      if (into.size == 0 || better(one, *list)) *list = one;
      into.size = 1;
      into.floor = list->value;
      continue;
    }
    list[into.size++] = one;
    if (into.size == into.room) drop_worst(into);
  }
}

namespace {

/// Puts what all threads kept of a row in order and leaves the best of it.
void put_together(std::span<const BestLists> lists, std::uint32_t row, std::uint32_t keep, Scored* to) {
  std::uint32_t size = 0;
  const auto insert = [&](const Scored& one) {
    if (size == keep && !better(one, to[size - 1])) return;
    Scored* at = std::upper_bound(to, to + size, one, better);
    size = std::min(size + 1, keep);
    std::move_backward(at, to + size - 1, to + size);
    *at = one;
  };
  for (const BestLists& each : lists)
    for (const Scored& one : each.list(row)) insert(one);
  std::fill(to + size, to + keep, Scored{});
}

}  // namespace

void CpuBackend::linear_best(Stream& stream, TensorRef activation, const Weight& weight, float cap, TensorRef keep,
                             TensorRef whole, Buffer& best) {
  const LinearJob job = matrix_job(activation, weight, nullptr);
  const std::uint32_t rows = activation.rows;
  TROUPE_CHECK(keep.rows * keep.cols == rows && best.bytes() >= std::size_t{rows} * kMostBest * sizeof(Scored) &&
                   (whole.rows == 0 || whole.cols == job.n), "linear_best: shapes");
  const std::int32_t* wanted = int_row(keep);
  float* outputs = whole.rows == 0 ? nullptr : float_rows(whole);
  auto* to = reinterpret_cast<Scored*>(static_cast<CpuBuffer&>(best).data());
  const std::size_t bytes = job.panel_end * job.panel_bytes;
  const Ahead ahead = static_cast<CpuStream&>(stream).follow({job.panels, bytes});
  submit(stream, [=, this, whole_rows = whole.rows, stride = stride_of(whole)] {
    if (rows == 0) return;
    const std::span<const std::int32_t> kept(wanted, rows);
    std::uint32_t others = 0;
    for (const std::int32_t n : kept) {
      TROUPE_CHECK(n >= 0 && static_cast<std::uint32_t>(n) <= kMostBest, "linear_best: keep");
      others += n == 0 ? 1 : 0;
    }
    TROUPE_CHECK(others == whole_rows, "linear_best: one row of `whole` for each that keeps everything");
    // Weights that many rows use stay in the second cache level; few rows stream through them, the longer the better.
    const std::size_t group_bytes = std::size_t{rows <= 8 ? 4096U : 256U} << 10;
    const bool small = std::size_t{job.n} * job.k * rows < 4 * kSmallRowWork;
    const std::uint32_t tasks = small ? 1 : std::min(job.panel_end, 4 * pool_.threads());
    const auto fitting = static_cast<std::uint32_t>(std::max<std::size_t>(group_bytes / job.panel_bytes, 4));
    const std::uint32_t group = std::min(fitting, (job.panel_end + tasks - 1) / tasks);
    const std::uint32_t cols = group * kLanes;
    const std::lock_guard turn(best_turn_);
    best_lists_.resize(pool_.threads());
    for (BestLists& lists : best_lists_) lists.begin(kept, cols);
    pool_.run(tasks, [&](std::uint32_t task, std::uint32_t worker) {
      BestLists& lists = best_lists_[worker];
      const auto end = static_cast<std::uint32_t>(std::uint64_t{job.panel_end} * (task + 1) / tasks);
      auto panel = static_cast<std::uint32_t>(std::uint64_t{job.panel_end} * task / tasks);
      for (; panel < end; panel += std::min(group, end - panel)) {
        LinearJob part = job;
        part.panels += panel * job.panel_bytes;
        part.panel_end = std::min(group, end - panel);
        part.n = std::min(part.panel_end * kLanes, job.n - panel * kLanes);
        part.out = lists.group();
        part.out_stride = cols;
        kernels_.linear(part);
        float* next_whole = outputs;
        for (std::uint32_t row = 0; row < rows; ++row) {
          float* from = part.out + std::size_t{row} * cols;
          if (cap > 0.0F) kernels_.softcap(from, part.n, cap);
          if (kept[row] != 0) {
            lists.offer(kernels_, row, from, part.n, static_cast<std::int32_t>(panel * kLanes));
            continue;
          }
          std::copy_n(from, part.n, next_whole + panel * kLanes);
          next_whole += stride;
        }
      }
    });
    look_ahead(rows, ahead);
    constexpr std::size_t kInsertion = 32;  // takes as long as that many elements of a row op
    const auto most = static_cast<std::size_t>(*std::max_element(kept.begin(), kept.end()));
    for_rows(rows, most * pool_.threads() * kInsertion, [&](std::uint32_t row) {
      put_together(best_lists_, row, static_cast<std::uint32_t>(kept[row]), to + std::size_t{row} * kMostBest);
    });
  });
}

}  // namespace troupe::backend::cpu
