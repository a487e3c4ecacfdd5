#include "common/backend/cpu/quant_unpack.hpp"

#include <cstring>

#include "common/base/error.hpp"
#include "common/tensor/half.hpp"

namespace troupe::backend::cpu {
namespace {

using Bytes = const std::uint8_t*;

std::uint32_t word16(Bytes p) { return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8; }
float half_at(Bytes p) { return half_to_float(static_cast<std::uint16_t>(word16(p))); }
std::uint8_t code(std::uint32_t value) { return static_cast<std::uint8_t>(value); }

void set_scale(UnpackedBlock& out, float scale, float min = 0.0F) {
  out.scales = {scale, scale};
  out.mins = {min, min};
}

/// Scale d * scale and min -(dmin * min) of a half.
void set_half(UnpackedBlock& out, std::uint32_t half, float d, int scale, float dmin, std::uint32_t min) {
  out.scale_factor = d;
  out.scale_codes[half] = static_cast<std::int8_t>(scale);
  out.min_factor = -dmin;
  out.min_codes[half] = static_cast<std::int8_t>(min);
  out.scales[half] = d * static_cast<float>(scale);
  out.mins[half] = -dmin * static_cast<float>(min);
}

/// 16 bytes: codes 0..15 in the low nibbles, 16..31 in the high ones; the fifth bits in `high`.
void unpack_nibbles(Bytes p, std::uint32_t high, UnpackedBlock& out) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    out.codes[i] = code((p[i] & 15U) | (high >> i & 1U) << 4);
    out.codes[i + 16] = code(std::uint32_t{p[i]} >> 4 | (high >> (i + 16) & 1U) << 4);
  }
}

void unpack_q8_0(Bytes p, UnpackedBlock* out) {
  set_scale(*out, half_at(p));
  for (std::size_t i = 0; i < 32; ++i) out->codes[i] = code(p[2 + i] ^ 0x80U);  // -128..127 as 0..255
}

void unpack_q5(Bytes p, bool has_min, UnpackedBlock* out) {
  const Bytes bits = p + (has_min ? 4 : 2);
  set_scale(*out, half_at(p), has_min ? half_at(p + 2) : 0.0F);
  unpack_nibbles(bits + 4, word16(bits) | word16(bits + 2) << 16, *out);
}

/// 84 bytes: 16 scale/min nibbles, 64 bytes of 2-bit codes, d, dmin.
void unpack_q2_k(Bytes p, UnpackedBlock* out) {
  const float d = half_at(p + 80);
  const float dmin = half_at(p + 82);
  for (std::uint32_t b = 0; b < 8; ++b) {
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t packed = p[2 * b + half];
      set_half(out[b], half, d, static_cast<int>(packed & 15U), dmin, packed >> 4);
    }
    for (std::uint32_t i = 0; i < 32; ++i)
      out[b].codes[i] = code(std::uint32_t{p[16 + 32 * (b / 4) + i]} >> (2 * (b % 4)) & 3U);
  }
}

/// 110 bytes: 32 bytes of third bits, 64 bytes of 2-bit codes, 16 scales of 6 bits in 12 bytes, d.
void unpack_q3_k(Bytes p, UnpackedBlock* out) {
  const Bytes scales = p + 96;
  const float d = half_at(p + 108);
  for (std::uint32_t b = 0; b < 8; ++b) {
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t s = 2 * b + half;
      const std::uint32_t low = std::uint32_t{scales[s % 8]} >> (s < 8 ? 0 : 4) & 15U;
      const std::uint32_t high = std::uint32_t{scales[8 + s % 4]} >> (2 * (s / 4)) & 3U;
      set_half(out[b], half, d, static_cast<int>(low | high << 4) - 32, 0.0F, 0);
    }
    for (std::uint32_t i = 0; i < 32; ++i) {
      const std::uint32_t low = std::uint32_t{p[32 + 32 * (b / 4) + i]} >> (2 * (b % 4)) & 3U;
      out[b].codes[i] = code(low | (std::uint32_t{p[i]} >> b & 1U) << 2);
    }
  }
}

/// The 12 bytes of 6-bit scales and mins that Q4_K and Q5_K share.
void set_k_scales(Bytes scales, float d, float dmin, UnpackedBlock* out) {
  for (std::uint32_t b = 0; b < 8; ++b) {
    std::uint32_t scale = scales[b % 4] & 63U;
    std::uint32_t min = scales[4 + b % 4] & 63U;
    if (b >= 4) {
      scale = (scales[4 + b] & 15U) | (std::uint32_t{scales[b - 4]} >> 6) << 4;
      min = std::uint32_t{scales[4 + b]} >> 4 | (std::uint32_t{scales[b]} >> 6) << 4;
    }
    for (std::uint32_t half = 0; half < 2; ++half) set_half(out[b], half, d, static_cast<int>(scale), dmin, min);
  }
}

void unpack_k_nibbles(Bytes codes, UnpackedBlock* out) {
  for (std::uint32_t b = 0; b < 8; ++b)
    for (std::uint32_t i = 0; i < 32; ++i)
      out[b].codes[i] = code(std::uint32_t{codes[32 * (b / 2) + i]} >> (4 * (b % 2)) & 15U);
}

/// 144 bytes: d, dmin, scales, 128 bytes of nibbles.
void unpack_q4_k(Bytes p, UnpackedBlock* out) {
  set_k_scales(p + 4, half_at(p), half_at(p + 2), out);
  unpack_k_nibbles(p + 16, out);
}

/// 176 bytes: d, dmin, scales, 32 bytes of fifth bits, 128 bytes of nibbles.
void unpack_q5_k(Bytes p, UnpackedBlock* out) {
  set_k_scales(p + 4, half_at(p), half_at(p + 2), out);
  unpack_k_nibbles(p + 48, out);
  for (std::uint32_t b = 0; b < 8; ++b)
    for (std::uint32_t i = 0; i < 32; ++i)
      out[b].codes[i] = code(out[b].codes[i] | (std::uint32_t{p[16 + i]} >> b & 1U) << 4);
}

/// 210 bytes: 128 of low nibbles, 64 of high pairs, 16 signed scales, d. Two groups of 128 codes.
void unpack_q6_k(Bytes p, UnpackedBlock* out) {
  const float d = half_at(p + 208);
  for (std::uint32_t b = 0; b < 8; ++b) {
    const std::uint32_t group = b / 4;
    const std::uint32_t quarter = b % 4;
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t raw = p[192 + 2 * b + half];
      set_half(out[b], half, d, static_cast<int>(raw ^ 0x80U) - 128, 0.0F, 0);
    }
    for (std::uint32_t i = 0; i < 32; ++i) {
      const std::uint32_t low = std::uint32_t{p[64 * group + 32 * (quarter % 2) + i]} >> (4 * (quarter / 2)) & 15U;
      const std::uint32_t high = std::uint32_t{p[128 + 32 * group + i]} >> (2 * quarter) & 3U;
      out[b].codes[i] = code(low | high << 4);
    }
  }
}

}  // namespace

bool quant_format(gguf::TensorType type, QuantFormat& format) {
  using enum gguf::TensorType;
  switch (type) {
    case q4_0: format = {.nibbles = true, .zero_shift = 3}; return true;
    case q4_1: format = {.nibbles = true, .has_min = true}; return true;
    case q5_0: format = {.zero_shift = 4}; return true;
    case q5_1: format = {.has_min = true}; return true;
    case q8_0: format = {.zero_shift = 7}; return true;
    case q2_k: format = {.nibbles = true, .halves = true, .has_min = true, .factored = true}; return true;
    case q3_k: format = {.nibbles = true, .halves = true, .factored = true, .zero_shift = 2}; return true;
    case q4_k: format = {.nibbles = true, .has_min = true, .factored = true}; return true;
    case q5_k: format = {.has_min = true, .factored = true}; return true;
    case q6_k: format = {.halves = true, .factored = true, .zero_shift = 5}; return true;
    case f32:
    case f16:
    case bf16: return false;
  }
  return false;
}

void unpack(gguf::TensorType type, const std::byte* block, UnpackedBlock* out) {
  const Bytes p = reinterpret_cast<Bytes>(block);
  using enum gguf::TensorType;
  switch (type) {
    case q4_0:
      set_scale(*out, half_at(p));
      return unpack_nibbles(p + 2, 0, *out);
    case q4_1:
      set_scale(*out, half_at(p), half_at(p + 2));
      return unpack_nibbles(p + 4, 0, *out);
    case q5_0: return unpack_q5(p, false, out);
    case q5_1: return unpack_q5(p, true, out);
    case q8_0: return unpack_q8_0(p, out);
    case q2_k: return unpack_q2_k(p, out);
    case q3_k: return unpack_q3_k(p, out);
    case q4_k: return unpack_q4_k(p, out);
    case q5_k: return unpack_q5_k(p, out);
    case q6_k: return unpack_q6_k(p, out);
    case f32:
    case f16:
    case bf16: break;
  }
  TROUPE_CHECK(false, "unpack() is for quantised types");
}

void dequantize(const QuantFormat& format, const UnpackedBlock& block, float* out) {
  const int zero = format.zero_shift == 0 ? 0 : 1 << format.zero_shift;
  for (std::size_t i = 0; i < 32; ++i) {
    const float value = block.scales[i / 16] * static_cast<float>(static_cast<int>(block.codes[i]) - zero);
    out[i] = format.has_min ? value + block.mins[i / 16] : value;
  }
}

}  // namespace troupe::backend::cpu
