#pragma once
// A prepared row. Fast: codes int8 [K], then one BlockMeta per 32, then the float32 row itself (for float weights).
// Reference: the float32 row. Rows are an odd number of cache lines apart, so that sixteen rows share no cache set.
#include <cstddef>
#include <cstdint>

namespace troupe::backend::cpu {

/// x = d * code, rounded to nearest even: code = x * (127 / amax), d = amax / 127. Blocks under 2^-100 are zero.
struct BlockMeta {
  float d = 0.0F;
  float sum = 0.0F;              ///< d * (sum of the 32 codes), rounded once
  float half_sums[2] = {};       ///< d * (sum of 16)
  std::int32_t minus_sum = 0;    ///< the integer sums, negated: zero points are subtracted
  std::int32_t minus_half_sums[2] = {};
  std::int32_t unused = 0;
};
static_assert(sizeof(BlockMeta) == 32);

inline constexpr float kSmallestBlock = 0x1p-100F;

struct ActivationLayout {
  bool quantized = true;
  std::uint32_t cols = 0;
  [[nodiscard]] std::size_t blocks() const { return (std::size_t{cols} + 31) / 32; }
  [[nodiscard]] std::size_t meta_offset() const { return blocks() * 32; }
  [[nodiscard]] std::size_t float_offset() const { return quantized ? blocks() * 64 : 0; }
  [[nodiscard]] std::size_t row_bytes() const {
    return ((float_offset() + std::size_t{cols} * 4 + 63) / 64 | 1) * 64;
  }
};

}  // namespace troupe::backend::cpu
