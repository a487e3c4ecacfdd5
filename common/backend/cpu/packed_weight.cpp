#include "common/backend/cpu/packed_weight.hpp"

#include <cstring>
#include <string>

#include "common/tensor/half.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40;

using gguf::TensorType;

float float_element(TensorType type, const std::byte* data, std::size_t index) {
  if (type == TensorType::f32) {
    float value = 0.0F;
    std::memcpy(&value, data + 4 * index, 4);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, data + 2 * index, 2);
  return type == TensorType::f16 ? half_to_float(bits) : bf16_to_float(bits);
}

void store_half(std::byte* to, float value) {
  const std::uint16_t bits = float_to_half(value);
  std::memcpy(to, &bits, 2);
}

/// Checks type and sizes; returns the file bytes of one row.
Expected<std::size_t> row_bytes(TensorType type, std::uint64_t n, std::uint64_t k, std::size_t found) {
  const gguf::TensorTypeInfo* info = gguf::tensor_type_info(static_cast<std::uint32_t>(type));
  if (info == nullptr)
    return fail(Errc::file_unsupported, "tensor type " + std::to_string(static_cast<std::uint32_t>(type)));
  if (n == 0 || k == 0 || n * k > kMaxElements || k % info->block_elements != 0)
    return fail(Errc::shape_mismatch, "a " + std::string(info->name) + " matrix of [" + std::to_string(n) + ", " +
                                          std::to_string(k) + "]; expected rows of whole blocks of " +
                                          std::to_string(info->block_elements));
  const std::size_t bytes = k / info->block_elements * info->block_bytes;
  if (found != n * bytes)
    return fail(Errc::shape_mismatch, std::to_string(found) + " bytes of " + std::string(info->name) + " for [" +
                                          std::to_string(n) + ", " + std::to_string(k) + "]; expected " +
                                          std::to_string(n * bytes));
  return bytes;
}

PanelKind float_kind(TensorType type, Numerics numerics) {
  if (numerics == Numerics::reference) return PanelKind::f32;
  if (type == TensorType::f16) return PanelKind::f16;
  return type == TensorType::bf16 ? PanelKind::bf16 : PanelKind::f32;
}

/// Float32 values of one file row, quantised or not.
void dequantize_row(TensorType type, const std::byte* row, std::uint32_t k, float* out) {
  QuantFormat format;
  if (!quant_format(type, format)) {
    for (std::uint32_t i = 0; i < k; ++i) out[i] = float_element(type, row, i);
    return;
  }
  const gguf::TensorTypeInfo& info = *gguf::tensor_type_info(static_cast<std::uint32_t>(type));
  UnpackedBlock blocks[8];
  for (std::uint32_t i = 0; i < k; i += info.block_elements, row += info.block_bytes) {
    unpack(type, row, blocks);
    for (std::uint32_t b = 0; b < info.block_elements / kBlock; ++b) dequantize(format, blocks[b], out + i + b * kBlock);
  }
}

}  // namespace

Expected<std::unique_ptr<PackedWeight>> PackedWeight::matrix(TensorType type, std::uint32_t n, std::uint32_t k,
                                                             std::span<const std::byte> blocks, Numerics numerics,
                                                             WeightArena& arena) {
  const auto row_size = row_bytes(type, n, k, blocks.size());
  if (!row_size) return tl::unexpected(row_size.error());
  QuantFormat format;
  const bool quantized = quant_format(type, format) && numerics == Numerics::fast;
  const PanelKind kind = quantized ? PanelKind::quantized : float_kind(type, numerics);
  const std::size_t element = kind == PanelKind::f32 ? 4 : 2;
  const std::size_t panel = quantized ? k / kBlock * format.block_bytes() + k / (8 * kBlock) * format.factor_bytes()
                                      : std::size_t{k} * kLanes * element;
  const std::size_t panels = (std::size_t{n} + kLanes - 1) / kLanes;
  ArenaBytes memory = arena.take(panels * panel);
  if (memory.data == nullptr) return fail(Errc::does_not_fit, std::to_string(panels * panel) + " bytes of weights");
  std::unique_ptr<PackedWeight> weight(new PackedWeight(std::move(memory), panels * panel, n, k, kind, format, panel));

  std::vector<float> values(quantized ? 0 : k);
  UnpackedBlock unpacked[8];
  for (std::uint32_t row = 0; row < n; ++row) {
    const std::byte* from = blocks.data() + row * *row_size;
    if (quantized) {
      const gguf::TensorTypeInfo& info = *gguf::tensor_type_info(static_cast<std::uint32_t>(type));
      for (std::uint32_t i = 0; i < k; i += info.block_elements, from += info.block_bytes) {
        unpack(type, from, unpacked);
        for (std::uint32_t b = 0; b < info.block_elements / kBlock; ++b)
          weight->pack_block(row, i / kBlock + b, unpacked[b]);
      }
      continue;
    }
    std::byte* to = weight->data_ + row / kLanes * panel + row % kLanes * element;
    if (kind == PanelKind::f32) dequantize_row(type, from, k, values.data());
    for (std::uint32_t i = 0; i < k; ++i, to += kLanes * element) {
      if (kind == PanelKind::f32)
        std::memcpy(to, &values[i], 4);
      else
        std::memcpy(to, from + 2 * std::size_t{i}, 2);
    }
  }
  return weight;
}

Expected<std::unique_ptr<PackedWeight>> PackedWeight::vector(TensorType type, std::uint32_t n,
                                                             std::span<const std::byte> blocks, WeightArena& arena) {
  if (const auto checked = row_bytes(type, 1, n, blocks.size()); !checked) return tl::unexpected(checked.error());
  ArenaBytes memory = arena.take(std::size_t{n} * 4);
  if (memory.data == nullptr) return fail(Errc::does_not_fit, std::to_string(n) + " floats");
  std::unique_ptr<PackedWeight> weight(
      new PackedWeight(std::move(memory), std::size_t{n} * 4, n, 1, PanelKind::vector, {}, 0));
  dequantize_row(type, blocks.data(), n, reinterpret_cast<float*>(weight->data_));
  return weight;
}

void PackedWeight::pack_block(std::uint32_t n, std::uint32_t block, const UnpackedBlock& from) {
  const std::uint32_t lane = n % kLanes;
  std::byte* at = data_ + n / kLanes * panel_bytes_ + format_.block_offset(block);
  for (std::uint32_t i = 0; i < kBlock; ++i) {
    const std::uint32_t group = i / 4;
    const std::byte code{from.codes[i]};
    if (!format_.nibbles)
      at[64 * group + 4 * lane + i % 4] = code;
    else
      at[64 * (group % 4) + 4 * lane + i % 4] |= group < 4 ? code : code << 4;
  }
  at += format_.code_bytes();
  std::byte* factors = factors_of(n, block);
  for (const bool mins : {false, true}) {
    if (mins && !format_.has_min) break;
    for (std::size_t half = 0; half < format_.scale_count(); ++half) {
      const std::size_t index = kLanes * half + lane;
      if (format_.factored)
        at[index] = static_cast<std::byte>((mins ? from.min_codes : from.scale_codes)[half]);
      else
        store_half(at + 2 * index, (mins ? from.mins : from.scales)[half]);
    }
    at += format_.scale_bytes();
    if (format_.factored) store_half(factors + 2 * (std::size_t{mins ? kLanes : 0} + lane), mins ? from.min_factor : from.scale_factor);
  }
}

void PackedWeight::unpack_block(std::uint32_t n, std::uint32_t block, UnpackedBlock& to) const {
  const std::uint32_t lane = n % kLanes;
  const std::byte* at = data_ + n / kLanes * panel_bytes_ + format_.block_offset(block);
  for (std::uint32_t i = 0; i < kBlock; ++i) {
    const std::uint32_t group = i / 4;
    if (!format_.nibbles) {
      to.codes[i] = std::to_integer<std::uint8_t>(at[64 * group + 4 * lane + i % 4]);
      continue;
    }
    const auto both = std::to_integer<std::uint32_t>(at[64 * (group % 4) + 4 * lane + i % 4]);
    to.codes[i] = static_cast<std::uint8_t>(group < 4 ? both & 15U : both >> 4);
  }
  at += format_.code_bytes();
  to.mins = {0.0F, 0.0F};
  for (auto* parts : {&to.scales, &to.mins}) {
    if (parts == &to.mins && !format_.has_min) break;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t index = kLanes * (format_.halves ? half : 0) + lane;
      if (format_.factored) {
        const float factor = float_element(TensorType::f16, factors_of(n, block), (parts == &to.mins ? kLanes : 0) + lane);
        (*parts)[half] = factor * static_cast<float>(std::to_integer<std::int8_t>(at[index]));
      } else {
        (*parts)[half] = float_element(TensorType::f16, at, index);
      }
    }
    at += format_.scale_bytes();
  }
}

void PackedWeight::row(std::uint32_t n, float* out) const {
  if (kind_ == PanelKind::quantized) {
    UnpackedBlock block;
    for (std::uint32_t b = 0; b < k_ / kBlock; ++b) {
      unpack_block(n, b, block);
      dequantize(format_, block, out + std::size_t{b} * kBlock);
    }
    return;
  }
  const TensorType type = kind_ == PanelKind::f32   ? TensorType::f32
                          : kind_ == PanelKind::f16 ? TensorType::f16
                                                    : TensorType::bf16;
  const std::byte* panel = data() + n / kLanes * panel_bytes_;
  for (std::uint32_t i = 0; i < k_; ++i) out[i] = float_element(type, panel, std::size_t{i} * kLanes + n % kLanes);
}

}  // namespace troupe::backend::cpu
