#pragma once
// A prepared row. Fast: int8 codes, one BlockMeta per 32, then the float32 row itself (for float weights).
// Narrow codes are [K]; wide ones are 16-bit as two planes, a block of 32 high bytes, then its 32 low bytes.
// Reference: the float32 row. Rows are an odd number of cache lines apart, so that sixteen rows share no cache set.
#include <cstddef>
#include <cstdint>

namespace troupe::backend::cpu {

/// x = d * code, rounded to nearest even: code = x * (127 / amax), d = amax / 127; wide: 32512 for 127, and
/// code = 256 * high + low with low in [-128, 127], so high in [-127, 127]. Blocks under 2^-100 are zero. A block's integer
/// sum with 8-bit weights stays within 32 * 255 * 32512, its zero point's part within half of that: both fit 32 bits.
struct BlockMeta {
  float d = 0.0F;
  float sum = 0.0F;              ///< d * (sum of the 32 codes), rounded once; a sum of codes is below 2^24
  float half_sums[2] = {};       ///< d * (sum of 16)
  std::int32_t minus_sum = 0;    ///< the integer sums, negated: zero points are subtracted
  std::int32_t minus_half_sums[2] = {};
  std::int32_t unused = 0;
};
static_assert(sizeof(BlockMeta) == 32);

inline constexpr float kSmallestBlock = 0x1p-100F;
inline constexpr float kNarrowCode = 127.0F;
inline constexpr float kWideCode = 127.0F * 256.0F;

struct ActivationLayout {
  bool quantized = true;
  std::uint32_t cols = 0;
  bool wide = false;
  [[nodiscard]] std::size_t blocks() const { return (std::size_t{cols} + 31) / 32; }
  [[nodiscard]] std::size_t meta_offset() const { return blocks() * (wide ? 64 : 32); }
  [[nodiscard]] std::size_t float_offset() const { return quantized ? meta_offset() + blocks() * 32 : 0; }
  [[nodiscard]] std::size_t row_bytes() const {
    return ((float_offset() + std::size_t{cols} * 4 + 63) / 64 | 1) * 64;
  }
};

}  // namespace troupe::backend::cpu
