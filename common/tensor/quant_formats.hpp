#pragma once
// The block formats of GGUF tensors: exact dequantisation, and simple quantisers for tests and shaped models.
// This is the definition the packed kernels are tested against, not a fast path.
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/error.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe {

/// Bytes that `elements` values take as `type`.
/// Errors: shape_mismatch unless `elements` is a multiple of the type's block.
[[nodiscard]] Expected<std::uint64_t> quantized_bytes(gguf::TensorType type, std::uint64_t elements);

/// Writes the float32 value of every element, by the format's own formula and order of rounding (no fused
/// steps). Errors: shape_mismatch unless `blocks` holds exactly `out.size()` elements. Threads: any.
[[nodiscard]] Expected<void> dequantize(gguf::TensorType type, std::span<const std::byte> blocks,
                                        std::span<float> out);

/// Rounds to the nearest code block by block; K types get scales from each sub-block's range, without a
/// search. Errors: shape_mismatch unless `out` holds exactly `values.size()` elements. Threads: any.
[[nodiscard]] Expected<void> quantize(gguf::TensorType type, std::span<const float> values,
                                      std::span<std::byte> out);

namespace detail {
using DequantizeBlock = void (*)(const std::uint8_t* block, float* out);
using QuantizeBlock = void (*)(const float* values, std::uint8_t* block);
[[nodiscard]] DequantizeBlock dequantizer(gguf::TensorType type);
[[nodiscard]] QuantizeBlock quantizer(gguf::TensorType type);
}  // namespace detail

}  // namespace troupe
