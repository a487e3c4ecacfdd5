// Ops on KV pages: writing rows, moving a slot, attention.
#include <cstring>

#include "common/backend/cpu/cpu_backend.hpp"
#include "common/tensor/half.hpp"

namespace troupe::backend::cpu {
namespace {

std::size_t element_bytes(const KvLayout& layout) { return layout.dtype == DType::f16 ? 2 : 4; }

std::byte* pages_of(const KvLayout& layout, const Buffer& kv, std::uint32_t layer, Numerics numerics) {
  TROUPE_CHECK(layout.dtype == (numerics == Numerics::fast ? DType::f16 : DType::f32), "KV type and numerics differ");
  TROUPE_CHECK(layer < layout.layers && layout.offset(layout.layers, 0) <= kv.bytes(), "KV buffer smaller than its layout");
  return static_cast<const CpuBuffer&>(kv).data() + layout.offset(layer, 0);
}

/// One token's K [G, d] into column `slot` of its page, V [G, d] into row `slot`.
template <class T, class Convert>
void write_slot(const KvLayout& layout, T* page, std::uint32_t slot, const float* k, const float* v, Convert convert) {
  const std::size_t key_channels = std::size_t{layout.kv_heads} * layout.key_dim;
  for (std::size_t c = 0; c < key_channels; ++c) page[c * kPageSlots + slot] = convert(k[c]);
  T* values = page + key_channels * kPageSlots;
  for (std::uint32_t g = 0; g < layout.kv_heads; ++g)
    for (std::uint32_t c = 0; c < layout.value_dim; ++c)
      values[(std::size_t{g} * kPageSlots + slot) * layout.value_dim + c] = convert(v[std::size_t{g} * layout.value_dim + c]);
}

void move_slot(const KvLayout& layout, std::byte* from_page, std::uint32_t from, std::byte* to_page, std::uint32_t to) {
  const std::size_t element = element_bytes(layout);
  const std::size_t key_channels = std::size_t{layout.kv_heads} * layout.key_dim;
  for (std::size_t c = 0; c < key_channels; ++c)
    std::memmove(to_page + (c * kPageSlots + to) * element, from_page + (c * kPageSlots + from) * element, element);
  const std::size_t values = key_channels * kPageSlots * element;
  const std::size_t row = std::size_t{layout.value_dim} * element;
  for (std::uint32_t g = 0; g < layout.kv_heads; ++g)
    std::memmove(to_page + values + (std::size_t{g} * kPageSlots + to) * row,
                 from_page + values + (std::size_t{g} * kPageSlots + from) * row, row);
}

}  // namespace

void CpuBackend::kv_write(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t layer, TensorRef k, TensorRef v,
                          TensorRef slots) {
  TROUPE_CHECK(k.rows == v.rows && slots.rows * slots.cols == k.rows && k.cols == layout.kv_heads * layout.key_dim &&
                   v.cols == layout.kv_heads * layout.value_dim, "kv_write: shapes");
  std::byte* pages = pages_of(layout, kv, layer, numerics_);
  const float* keys = float_rows(k);
  const float* values = float_rows(v);
  const std::int32_t* slot = int_row(slots);
  submit(stream, [=, this] {
    const FloatState state;
    for (std::uint32_t row = 0; row < k.rows; ++row) {
      TROUPE_CHECK(slot[row] >= 0 && static_cast<std::uint32_t>(slot[row]) / kPageSlots < layout.pages, "kv_write: slot");
      const auto at = static_cast<std::uint32_t>(slot[row]);
      std::byte* page = pages + at / kPageSlots * layout.layer_page_bytes();
      const float* key_row = keys + row * stride_of(k);
      const float* value_row = values + row * stride_of(v);
      if (layout.dtype == DType::f32) {
        write_slot(layout, reinterpret_cast<float*>(page), at % kPageSlots, key_row, value_row, [](float x) { return x; });
        continue;
      }
      write_slot(layout, reinterpret_cast<std::uint16_t*>(page), at % kPageSlots, key_row, value_row, float_to_half);
    }
  });
}

void CpuBackend::kv_move(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t from_slot, std::uint32_t to_slot) {
  TROUPE_CHECK(from_slot / kPageSlots < layout.pages && to_slot / kPageSlots < layout.pages, "kv_move: slot");
  std::byte* pages = pages_of(layout, kv, 0, numerics_);
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
                           .pages = pages_of(layout, kv, params.layer, numerics_), .q = float_rows(q),
                           .q_stride = stride_of(q), .out = float_rows(out), .out_stride = stride_of(out)};
  submit(stream, [call, this] {
    const std::lock_guard turn(attention_turn_);
    const FloatState state;
    run_attention(call, pool_, attention_scratch_, partials_);
  });
}

}  // namespace troupe::backend::cpu
