// Ops on KV pages: writing rows, moving a slot, attention.
#include <algorithm>
#include <cstring>

#include "common/backend/cpu/cpu_backend.hpp"

namespace troupe::backend::cpu {
namespace {

std::byte* pages_of(const KvLayout& layout, const Buffer& kv, std::uint32_t layer, DType dtype) {
  TROUPE_CHECK(layout.dtype == dtype, "KV type and numerics differ");
  TROUPE_CHECK(layer < layout.layers && layout.offset(layout.layers, 0) <= kv.bytes(), "KV buffer smaller than its layout");
  return static_cast<const CpuBuffer&>(kv).data() + layout.offset(layer, 0);
}

/// Rows whose slots follow one another within a page, for one kv head: K rows become columns, V rows stay rows.
template <class T>
void write_run(const KvLayout& layout, T* page, std::uint32_t head, std::uint32_t slot, std::uint32_t rows, const T* k,
               std::size_t k_stride, const T* v, std::size_t v_stride) {
  T* keys = page + std::size_t{head} * layout.key_dim * kPageSlots + slot;
  k += std::size_t{head} * layout.key_dim;
  for (std::uint32_t c = 0; c < layout.key_dim; ++c, keys += kPageSlots)
    for (std::uint32_t row = 0; row < rows; ++row) keys[row] = k[row * k_stride + c];
  T* values = page + (std::size_t{layout.kv_heads} * layout.key_dim + std::size_t{head} * layout.value_dim) * kPageSlots +
              std::size_t{slot} * layout.value_dim;
  v += std::size_t{head} * layout.value_dim;
  for (std::uint32_t row = 0; row < rows; ++row)
    std::memcpy(values + std::size_t{row} * layout.value_dim, v + row * v_stride, layout.value_dim * sizeof(T));
}

/// Of a head's K in an i8 page; those of its V follow kv_heads * 64 later.
std::uint16_t* scales_of(const KvLayout& layout, std::byte* page, std::uint32_t head) {
  return reinterpret_cast<std::uint16_t*>(page + layout.scales_offset(head));
}

/// The scales of a run, [rows, 2 * kv_heads] as their codes were made: K of every head, then V.
void write_scales(const KvLayout& layout, std::byte* page, std::uint32_t head, std::uint32_t slot, std::uint32_t rows,
                  const std::uint16_t* scales) {
  std::uint16_t* to = scales_of(layout, page, head) + slot;
  for (std::uint32_t row = 0; row < rows; ++row, scales += 2 * layout.kv_heads) {
    to[row] = scales[head];
    to[std::size_t{layout.kv_heads} * kPageSlots + row] = scales[layout.kv_heads + head];
  }
}

void slot_runs(const std::int32_t* slots, std::uint32_t rows, std::vector<SlotRun>& runs) {
  runs.clear();
  for (std::uint32_t row = 0; row < rows; ++row) {
    const bool follows = row > 0 && slots[row] == slots[row - 1] + 1 && slots[row] % static_cast<std::int32_t>(kPageSlots) != 0;
    if (!follows) runs.push_back({row, 0});
    ++runs.back().count;
  }
}

void move_slot(const KvLayout& layout, std::byte* from_page, std::uint32_t from, std::byte* to_page, std::uint32_t to) {
  const std::size_t element = layout.element_bytes();
  const std::size_t key_channels = std::size_t{layout.kv_heads} * layout.key_dim;
  for (std::size_t c = 0; c < key_channels; ++c)
    std::memmove(to_page + (c * kPageSlots + to) * element, from_page + (c * kPageSlots + from) * element, element);
  const std::size_t values = key_channels * kPageSlots * element;
  const std::size_t row = std::size_t{layout.value_dim} * element;
  for (std::uint32_t g = 0; g < layout.kv_heads; ++g)
    std::memmove(to_page + values + (std::size_t{g} * kPageSlots + to) * row,
                 from_page + values + (std::size_t{g} * kPageSlots + from) * row, row);
  if (layout.dtype != DType::i8) return;
  std::uint16_t* to_scales = scales_of(layout, to_page, 0) + to;
  const std::uint16_t* from_scales = scales_of(layout, from_page, 0) + from;
  for (std::size_t at = 0; at < 2 * std::size_t{layout.kv_heads} * kPageSlots; at += kPageSlots) to_scales[at] = from_scales[at];
}

}  // namespace

void CpuBackend::kv_write(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t layer, TensorRef k, TensorRef v,
                          TensorRef slots) {
  TROUPE_CHECK(k.rows == v.rows && slots.rows * slots.cols == k.rows && k.cols == layout.kv_heads * layout.key_dim &&
                   v.cols == layout.kv_heads * layout.value_dim, "kv_write: shapes");
  if (k.rows == 0) return;
  std::byte* pages = pages_of(layout, kv, layer, kv_dtype_);
  const float* keys = float_rows(k);
  const float* values = float_rows(v);
  const std::int32_t* slot = int_row(slots);
  submit(stream, [=, this] {
    for (std::uint32_t row = 0; row < k.rows; ++row)
      TROUPE_CHECK(slot[row] >= 0 && static_cast<std::uint32_t>(slot[row]) / kPageSlots < layout.pages, "kv_write: slot");
    const bool half = layout.dtype == DType::f16;
    const std::lock_guard turn(attention_turn_);
    if (half) {
      kv_halves_.resize(std::max(kv_halves_.size(), std::size_t{k.rows} * (k.cols + v.cols)));
      for_rows(k.rows, k.cols, [&](std::uint32_t row) {
        std::uint16_t* to = kv_halves_.data() + std::size_t{row} * (k.cols + v.cols);
        kernels_.to_half(keys + row * stride_of(k), k.cols, to);
        kernels_.to_half(values + row * stride_of(v), v.cols, to + k.cols);
      });
    }
    const bool codes = layout.dtype == DType::i8;
    if (codes) {
      kv_codes_.resize(std::max(kv_codes_.size(), std::size_t{k.rows} * (k.cols + v.cols)));
      kv_halves_.resize(std::max(kv_halves_.size(), std::size_t{k.rows} * 2 * layout.kv_heads));
      for_rows(k.rows, 2 * std::size_t{k.cols}, [&](std::uint32_t row) {
        std::int8_t* to = kv_codes_.data() + std::size_t{row} * (k.cols + v.cols);
        std::uint16_t* scales = kv_halves_.data() + std::size_t{row} * 2 * layout.kv_heads;
        for (std::uint32_t g = 0; g < layout.kv_heads; ++g) {
          const std::size_t key = std::size_t{g} * layout.key_dim, value = std::size_t{g} * layout.value_dim;
          scales[g] = kernels_.to_codes(keys + row * stride_of(k) + key, layout.key_dim, to + key);
          scales[layout.kv_heads + g] =
              kernels_.to_codes(values + row * stride_of(v) + value, layout.value_dim, to + k.cols + value);
        }
      });
    }
    slot_runs(slot, k.rows, slot_runs_);
    const std::vector<SlotRun>& runs = slot_runs_;
    const auto units = static_cast<std::uint32_t>(runs.size()) * layout.kv_heads;
    const std::size_t work = std::size_t{k.rows} * (k.cols + v.cols) / units;
    for_rows(units, work, [&](std::uint32_t unit) {
      const SlotRun& run = runs[unit / layout.kv_heads];
      const std::uint32_t head = unit % layout.kv_heads;
      const auto first = static_cast<std::uint32_t>(slot[run.first]);
      std::byte* page = pages + first / kPageSlots * layout.layer_page_bytes();
      if (codes) {
        const std::size_t stride = std::size_t{k.cols} + v.cols;
        const std::int8_t* from = kv_codes_.data() + run.first * stride;
        write_run(layout, reinterpret_cast<std::int8_t*>(page), head, first % kPageSlots, run.count, from, stride, from + k.cols,
                  stride);
        write_scales(layout, page, head, first % kPageSlots, run.count,
                     kv_halves_.data() + std::size_t{run.first} * 2 * layout.kv_heads);
      } else if (half) {
        const std::size_t stride = std::size_t{k.cols} + v.cols;
        const std::uint16_t* from = kv_halves_.data() + run.first * stride;
        write_run(layout, reinterpret_cast<std::uint16_t*>(page), head, first % kPageSlots, run.count, from, stride,
                  from + k.cols, stride);
      } else {
        write_run(layout, reinterpret_cast<float*>(page), head, first % kPageSlots, run.count,
                  keys + run.first * stride_of(k), stride_of(k), values + run.first * stride_of(v), stride_of(v));
      }
    });
  });
}

void CpuBackend::kv_move(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t from_slot, std::uint32_t to_slot) {
  TROUPE_CHECK(from_slot / kPageSlots < layout.pages && to_slot / kPageSlots < layout.pages, "kv_move: slot");
  std::byte* pages = pages_of(layout, kv, 0, kv_dtype_);
  submit(stream, [=] {
    for (std::uint32_t layer = 0; layer < layout.layers; ++layer)
      move_slot(layout, pages + layout.offset(layer, from_slot / kPageSlots), from_slot % kPageSlots,
                pages + layout.offset(layer, to_slot / kPageSlots), to_slot % kPageSlots);
  });
}

std::unique_ptr<AttentionPlan> CpuBackend::plan_attention(Stream&, const AttentionBatch& batch) {
  return std::make_unique<CpuAttentionPlan>(batch);
}

void CpuBackend::attention(Stream& stream, const KvLayout& layout, const Buffer& kv, const AttentionPlan& plan,
                           const AttentionParams& params, TensorRef q, TensorRef out) {
  const auto& rows = static_cast<const CpuAttentionPlan&>(plan);
  TROUPE_CHECK(layout.kv_heads > 0 && params.heads > 0 && params.heads % layout.kv_heads == 0, "attention: heads");
  TROUPE_CHECK(q.rows == rows.rows.size() && out.rows == q.rows && q.cols == params.heads * layout.key_dim &&
                   out.cols == params.heads * layout.value_dim, "attention: shapes");
  for (const std::uint32_t page : rows.tables) TROUPE_CHECK(page < layout.pages, "attention: page id");
  const AttentionCall call{.kernels = &kernels_, .plan = &rows, .layout = layout, .params = params,
                           .pages = pages_of(layout, kv, params.layer, kv_dtype_), .q = float_rows(q),
                           .q_stride = stride_of(q), .out = float_rows(out), .out_stride = stride_of(out)};
  submit(stream, [call, this] {
    const std::lock_guard turn(attention_turn_);
    const FloatState state;
    run_attention(call, pool_, attention_scratch_, partials_);
  });
}

}  // namespace troupe::backend::cpu
