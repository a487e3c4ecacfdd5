// Quantisers that round to the nearest code of a range: no search for better scales, so a model quantised
// here is a little worse than one from a production tool. The layouts are described in dequantize.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "common/tensor/half.hpp"
#include "common/tensor/quant_formats.hpp"

namespace troupe::detail {
namespace {

void store16(std::uint8_t* at, std::uint16_t value) {
  std::memcpy(at, &value, sizeof value);
}

/// Stores `value` as a half and returns what a reader will see: codes are chosen against that, not against
/// the float.
float store_half(std::uint8_t* at, float value) {
  const std::uint16_t half = float_to_half(value);
  store16(at, half);
  return half_to_float(half);
}

std::uint8_t byte(int value) {
  return static_cast<std::uint8_t>(value);
}

int nearest(float value, float step, int least, int most) {
  if (step == 0.0F) return std::clamp(0, least, most);
  return static_cast<int>(
      std::clamp(std::nearbyint(value / step), static_cast<float>(least), static_cast<float>(most)));
}

/// The element of largest magnitude, with its sign.
float extreme(const float* x, int count) {
  return *std::max_element(x, x + count, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

void f32(const float* x, std::uint8_t* b) {
  std::memcpy(b, x, sizeof *x);
}
void f16(const float* x, std::uint8_t* b) {
  store16(b, float_to_half(*x));
}
void bf16(const float* x, std::uint8_t* b) {
  store16(b, float_to_bf16(*x));
}

using Codes32 = std::array<int, 32>;

/// Codes 0 .. 2*zero-1 around `zero`; the extreme element takes code 0, so that the wider side of the range
/// serves it.
Codes32 symmetric_codes(const float* x, int zero, std::uint8_t* d_at) {
  const float d = store_half(d_at, extreme(x, 32) / static_cast<float>(-zero));
  Codes32 codes;
  for (std::size_t i = 0; i < 32; ++i) codes[i] = nearest(x[i], d, -zero, zero - 1) + zero;
  return codes;
}

Codes32 affine_codes(const float* x, int most, std::uint8_t* d_at, std::uint8_t* m_at) {
  const auto [least, greatest] = std::minmax_element(x, x + 32);
  const float d = store_half(d_at, (*greatest - *least) / static_cast<float>(most));
  const float m = store_half(m_at, *least);
  Codes32 codes;
  for (std::size_t i = 0; i < 32; ++i) codes[i] = nearest(x[i] - m, d, 0, most);
  return codes;
}

void store_nibbles(const Codes32& codes, std::uint8_t* at) {
  for (std::size_t i = 0; i < 16; ++i) at[i] = byte((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

void store_fifth_bits(const Codes32& codes, std::uint8_t* at) {
  std::uint32_t high = 0;
  for (std::size_t i = 0; i < 32; ++i) high |= static_cast<std::uint32_t>(codes[i] >> 4 & 1) << i;
  std::memcpy(at, &high, sizeof high);
}

void q4_0(const float* x, std::uint8_t* b) {
  store_nibbles(symmetric_codes(x, 8, b), b + 2);
}
void q4_1(const float* x, std::uint8_t* b) {
  store_nibbles(affine_codes(x, 15, b, b + 2), b + 4);
}
void q5_0(const float* x, std::uint8_t* b) {
  const Codes32 codes = symmetric_codes(x, 16, b);
  store_fifth_bits(codes, b + 2);
  store_nibbles(codes, b + 6);
}
void q5_1(const float* x, std::uint8_t* b) {
  const Codes32 codes = affine_codes(x, 31, b, b + 2);
  store_fifth_bits(codes, b + 4);
  store_nibbles(codes, b + 8);
}
void q8_0(const float* x, std::uint8_t* b) {
  const float d = store_half(b, std::fabs(extreme(x, 32)) / 127.0F);
  for (int i = 0; i < 32; ++i) b[2 + i] = byte(nearest(x[i], d, -127, 127) & 255);
}

/// Scales and minimums of a super-block in units of two halves: sub-block s stands for d*scale[s]*q -
/// dmin*min[s].
struct Ranges {
  float d = 0, dmin = 0;
  std::array<int, 16> scale{}, min{};

  int code(float x, std::size_t s, int most) const {
    return nearest(x + dmin * static_cast<float>(min[s]), d * static_cast<float>(scale[s]), 0, most);
  }
};

Ranges find_ranges(const float* x, int sub_blocks, int most_code, int most_scale, std::uint8_t* d_at,
                   std::uint8_t* dmin_at) {
  const int width = 256 / sub_blocks;
  std::array<float, 16> step{}, low{};
  for (int s = 0; s < sub_blocks; ++s) {
    const auto [least, greatest] = std::minmax_element(x + s * width, x + (s + 1) * width);
    const float bottom = std::min(0.0F, *least);  // the format has no positive minimum
    low[static_cast<std::size_t>(s)] = -bottom;
    step[static_cast<std::size_t>(s)] = (std::max(0.0F, *greatest) - bottom) / static_cast<float>(most_code);
  }
  Ranges r;
  r.d = store_half(d_at, *std::max_element(step.begin(), step.end()) / static_cast<float>(most_scale));
  r.dmin = store_half(dmin_at, *std::max_element(low.begin(), low.end()) / static_cast<float>(most_scale));
  for (std::size_t s = 0; s < 16; ++s) {
    r.scale[s] = nearest(step[s], r.d, 0, most_scale);
    r.min[s] = nearest(low[s], r.dmin, 0, most_scale);
  }
  return r;
}

void q2_k(const float* x, std::uint8_t* b) {
  const Ranges r = find_ranges(x, 16, 3, 15, b + 80, b + 82);
  for (std::size_t s = 0; s < 16; ++s) b[s] = byte(r.scale[s] | r.min[s] << 4);
  std::fill(b + 16, b + 80, std::uint8_t{0});
  for (std::size_t i = 0; i < 256; ++i)
    b[16 + i / 128 * 32 + i % 32] |= byte(r.code(x[i], i / 16, 3) << (i % 128 / 32 * 2));
}

/// Signed scales for sub-blocks of 16 whose codes run from -half_codes to half_codes-1.
std::array<int, 16> signed_scales(const float* x, int half_codes, int half_scales, std::uint8_t* d_at,
                                  float& d) {
  std::array<float, 16> step{};
  for (std::size_t s = 0; s < 16; ++s) step[s] = extreme(x + s * 16, 16) / static_cast<float>(-half_codes);
  d = store_half(d_at, extreme(step.data(), 16) / static_cast<float>(-half_scales));
  std::array<int, 16> scale{};
  for (std::size_t s = 0; s < 16; ++s) scale[s] = nearest(step[s], d, -half_scales, half_scales - 1);
  return scale;
}

void q3_k(const float* x, std::uint8_t* b) {
  float d = 0;
  const auto scale = signed_scales(x, 4, 32, b + 108, d);
  std::fill(b, b + 108, std::uint8_t{0});
  for (std::size_t s = 0; s < 16; ++s) {
    const int stored = scale[s] + 32;
    b[96 + s % 8] |= byte((stored & 15) << (s / 8 * 4));
    b[104 + s % 4] |= byte((stored >> 4) << (s / 4 * 2));
  }
  for (std::size_t i = 0; i < 256; ++i) {
    const int code = nearest(x[i], d * static_cast<float>(scale[i / 16]), -4, 3) + 4;
    b[32 + i / 128 * 32 + i % 32] |= byte((code & 3) << (i % 128 / 32 * 2));
    b[i % 32] |= byte((code >> 2) << (i / 32));
  }
}

void store_scales_and_mins(const Ranges& r, std::uint8_t* at) {
  for (std::size_t s = 0; s < 4; ++s) {
    at[s] = byte(r.scale[s] | (r.scale[s + 4] >> 4) << 6);
    at[s + 4] = byte(r.min[s] | (r.min[s + 4] >> 4) << 6);
    at[s + 8] = byte((r.scale[s + 4] & 15) | (r.min[s + 4] & 15) << 4);
  }
}

void q4_k(const float* x, std::uint8_t* b) {
  const Ranges r = find_ranges(x, 8, 15, 63, b, b + 2);
  store_scales_and_mins(r, b + 4);
  std::fill(b + 16, b + 144, std::uint8_t{0});
  for (std::size_t i = 0; i < 256; ++i)
    b[16 + i / 64 * 32 + i % 32] |= byte(r.code(x[i], i / 32, 15) << (i / 32 % 2 * 4));
}

void q5_k(const float* x, std::uint8_t* b) {
  const Ranges r = find_ranges(x, 8, 31, 63, b, b + 2);
  store_scales_and_mins(r, b + 4);
  std::fill(b + 16, b + 176, std::uint8_t{0});
  for (std::size_t i = 0; i < 256; ++i) {
    const int code = r.code(x[i], i / 32, 31);
    b[48 + i / 64 * 32 + i % 32] |= byte((code & 15) << (i / 32 % 2 * 4));
    b[16 + i % 32] |= byte((code >> 4) << (i / 32));
  }
}

void q6_k(const float* x, std::uint8_t* b) {
  float d = 0;
  const auto scale = signed_scales(x, 32, 128, b + 208, d);
  std::fill(b, b + 192, std::uint8_t{0});
  for (std::size_t s = 0; s < 16; ++s) b[192 + s] = byte(scale[s] & 255);
  for (std::size_t i = 0; i < 256; ++i) {
    const int code = nearest(x[i], d * static_cast<float>(scale[i / 16]), -32, 31) + 32;
    const std::size_t half = i / 128, in_half = i % 128;
    b[half * 64 + in_half % 64] |= byte((code & 15) << (in_half / 64 * 4));
    b[128 + half * 32 + in_half % 32] |= byte((code >> 4) << (in_half / 32 * 2));
  }
}

}  // namespace

QuantizeBlock quantizer(gguf::TensorType type) {
  using T = gguf::TensorType;
  switch (type) {
    case T::f32:
      return f32;
    case T::f16:
      return f16;
    case T::bf16:
      return bf16;
    case T::q4_0:
      return q4_0;
    case T::q4_1:
      return q4_1;
    case T::q5_0:
      return q5_0;
    case T::q5_1:
      return q5_1;
    case T::q8_0:
      return q8_0;
    case T::q2_k:
      return q2_k;
    case T::q3_k:
      return q3_k;
    case T::q4_k:
      return q4_k;
    case T::q5_k:
      return q5_k;
    case T::q6_k:
      return q6_k;
  }
  return nullptr;
}

}  // namespace troupe::detail
