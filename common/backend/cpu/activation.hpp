#pragma once
// A prepared row. Fast: int8 codes [K], one BlockMeta per 32, the residuals, then the float32 row itself (for float weights).
// Reference: the float32 row. Rows are an odd number of cache lines apart, so that sixteen rows share no cache set.
#include <cstddef>
#include <cstdint>

namespace troupe::backend::cpu {

/// x = d * code, rounded to nearest even: code = x * (127 / amax), d = amax / 127. Blocks under 2^-100 are zero. A block's
/// integer sum with 8-bit weights stays within 32 * 255 * 127, its zero point's part within half of that.
struct BlockMeta {
  float d = 0.0F;
  float sum = 0.0F;              ///< d * (sum of the 32 codes), rounded once
  float half_sums[2] = {};       ///< d * (sum of 16)
  std::int32_t minus_sum = 0;    ///< the integer sums, negated: zero points are subtracted
  std::int32_t minus_half_sums[2] = {};
  std::uint32_t block = 0;       ///< of a residual: the block whose rest it is
};
static_assert(sizeof(BlockMeta) == 32);

/// What rounding left of one block, quantised like a block: x = d * code + meta.d * codes[i], 254 times finer. A few channels
/// dwarf their neighbours and most of a row's error sits in their blocks, so the blocks of largest d have one each, largest
/// first, the lower block first among equals. Products add them after the row's blocks, in this order.
struct Residual {
  std::int8_t codes[32] = {};
  BlockMeta meta;
};
static_assert(sizeof(Residual) == 64);

inline constexpr float kSmallestBlock = 0x1p-100F;
inline constexpr float kMostCode = 127.0F;
inline constexpr std::size_t kBlocksPerResidual = 32;

struct ActivationLayout {
  bool quantized = true;
  std::uint32_t cols = 0;
  [[nodiscard]] std::size_t blocks() const { return (std::size_t{cols} + 31) / 32; }
  [[nodiscard]] std::size_t residuals() const { return (blocks() + kBlocksPerResidual - 1) / kBlocksPerResidual; }
  [[nodiscard]] std::size_t meta_offset() const { return blocks() * 32; }
  [[nodiscard]] std::size_t residual_offset() const { return meta_offset() + blocks() * sizeof(BlockMeta); }
  [[nodiscard]] std::size_t float_offset() const { return quantized ? residual_offset() + residuals() * sizeof(Residual) : 0; }
  [[nodiscard]] std::size_t row_bytes() const {
    return ((float_offset() + std::size_t{cols} * 4 + 63) / 64 | 1) * 64;
  }
};

}  // namespace troupe::backend::cpu
