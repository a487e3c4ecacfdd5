#pragma once
// GGUF quantisation blocks as integers, scales and mins: what packing keeps, without a float step in between.
#include <array>
#include <cstddef>
#include <cstdint>

#include "common/gguf/gguf.hpp"

namespace troupe::backend::cpu {

/// How a quantised type looks when packed: value = scale * (code - 2^zero_shift) + min, per block of 32 or half of one.
struct QuantFormat {
  bool nibbles = false;         ///< codes below 16: two in a byte
  bool halves = false;          ///< a scale (and min) per 16 codes instead of per 32
  bool has_min = false;
  bool factored = false;        ///< scales are a byte times a half common to 8 blocks, mins too; else the file's own half
  std::uint8_t zero_shift = 0;  ///< 0: no zero point
  [[nodiscard]] std::size_t scale_count() const { return halves ? 2 : 1; }
  [[nodiscard]] std::size_t code_bytes() const { return nibbles ? 256 : 512; }  ///< of a block of 32 x 16 outputs
  [[nodiscard]] std::size_t scale_bytes() const { return 16 * scale_count() * (factored ? 1 : 2); }
  [[nodiscard]] std::size_t block_bytes() const { return code_bytes() + scale_bytes() * (has_min ? 2 : 1); }
  /// Of the common factors of 8 blocks; they stand behind a panel's blocks.
  /// Common factors of 8 blocks, in front of them.
  [[nodiscard]] std::size_t factor_bytes() const { return factored ? (has_min ? 64 : 32) : 0; }
  /// Where block `b` of a panel stands, and its factors. A panel is one stream without gaps: a far line now and then is a wait
  /// that no prefetcher foresees.
  [[nodiscard]] std::size_t block_offset(std::size_t b) const { return b * block_bytes() + (b / 8 + 1) * factor_bytes(); }
  [[nodiscard]] std::size_t factors_offset(std::size_t b) const { return b / 8 * (8 * block_bytes() + factor_bytes()); }
};

/// Whether `type` is a quantised one; `format` then says how it packs.
[[nodiscard]] bool quant_format(gguf::TensorType type, QuantFormat& format);

/// 32 codes with their scale and min (two of each for formats with halves).
struct UnpackedBlock {
  std::array<std::uint8_t, 32> codes;
  std::array<float, 2> scales;
  std::array<float, 2> mins;
  // Of factored formats: scale = scale_factor * scale_codes, min = min_factor * min_codes, both exact.
  float scale_factor = 0.0F;
  float min_factor = 0.0F;
  std::array<std::int8_t, 2> scale_codes{};
  std::array<std::int8_t, 2> min_codes{};
};

/// Unpacks one file block into block_elements / 32 blocks.
void unpack(gguf::TensorType type, const std::byte* block, UnpackedBlock* out);

/// The float32 values of a block, rounded as the file format defines: scale * code, then + min.
void dequantize(const QuantFormat& format, const UnpackedBlock& block, float* out);

}  // namespace troupe::backend::cpu
