// One function a format, from one block to its floats. The layouts are those of the GGUF specification; the
// byte diagrams name fields in file order. `nibble order`: byte i holds element i low and element i + half
// high.
#include <cstring>

#include "common/tensor/half.hpp"
#include "common/tensor/quant_formats.hpp"

namespace troupe::detail {
namespace {

std::uint16_t load16(const std::uint8_t* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
std::uint32_t load32(const std::uint8_t* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
float load_half(const std::uint8_t* at) {
  return half_to_float(load16(at));
}

void f32(const std::uint8_t* b, float* out) {
  std::memcpy(out, b, sizeof *out);
}
void f16(const std::uint8_t* b, float* out) {
  *out = load_half(b);
}
void bf16(const std::uint8_t* b, float* out) {
  *out = bf16_to_float(load16(b));
}

// d:f16 q:16 bytes in nibble order; x = d * (q - 8)
void q4_0(const std::uint8_t* b, float* out) {
  const float d = load_half(b);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((b[2 + i] >> 4) - 8);
  }
}

// d:f16 m:f16 q:16; x = d * q + m
void q4_1(const std::uint8_t* b, float* out) {
  const float d = load_half(b), m = load_half(b + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(b[4 + i] & 15) + m;
    out[i + 16] = d * static_cast<float>(b[4 + i] >> 4) + m;
  }
}

// d:f16 h:u32 q:16; bit i of h is the fifth bit of element i; x = d * (q - 16)
void q5_0(const std::uint8_t* b, float* out) {
  const float d = load_half(b);
  const std::uint32_t high = load32(b + 2);
  for (unsigned i = 0; i < 32; ++i) {
    const int low = i < 16 ? b[6 + i] & 15 : b[6 + i - 16] >> 4;
    out[i] = d * static_cast<float>((low | static_cast<int>((high >> i) & 1U) << 4) - 16);
  }
}

// d:f16 m:f16 h:u32 q:16; x = d * q + m
void q5_1(const std::uint8_t* b, float* out) {
  const float d = load_half(b), m = load_half(b + 2);
  const std::uint32_t high = load32(b + 4);
  for (unsigned i = 0; i < 32; ++i) {
    const int low = i < 16 ? b[8 + i] & 15 : b[8 + i - 16] >> 4;
    out[i] = d * static_cast<float>(low | static_cast<int>((high >> i) & 1U) << 4) + m;
  }
}

// d:f16 q:32 i8; x = q * d
void q8_0(const std::uint8_t* b, float* out) {
  const float d = load_half(b);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(b[2 + i])) * d;
}

// scales:16 (low nibble scale, high nibble min) q:64 d:f16 dmin:f16; per 16 elements x = d*sc * q - dmin*m.
// Of 32 bytes of q, the four bit pairs are four runs of 32 elements.
void q2_k(const std::uint8_t* b, float* out) {
  const float d = load_half(b + 80), dmin = load_half(b + 82);
  for (int i = 0; i < 256; ++i) {
    const std::uint8_t scale = b[i / 16];
    const float dl = d * static_cast<float>(scale & 15), ml = dmin * static_cast<float>(scale >> 4);
    const int q = (b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    out[i] = dl * static_cast<float>(q) - ml;
  }
}

// hmask:32 q:64 scales:12 d:f16; scales are 6 bits less 32; the third bit of a code is inverted (set means no
// offset)
void q3_k(const std::uint8_t* b, float* out) {
  const float d = load_half(b + 108);
  for (int i = 0; i < 256; ++i) {
    const int s = i / 16;
    const int low = s < 8 ? b[96 + s] & 15 : b[96 + s - 8] >> 4;
    const int scale = (low | ((b[104 + s % 4] >> (s / 4 * 2)) & 3) << 4) - 32;
    const float dl = d * static_cast<float>(scale);
    const int code = (b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    const int offset = ((b[i % 32] >> (i / 32)) & 1) != 0 ? 0 : 4;
    out[i] = dl * static_cast<float>(code - offset);
  }
}

/// Scale and minimum (6 bits each) of sub-block s of the 12 bytes that Q4_K and Q5_K share.
void scale_and_min(const std::uint8_t* packed, int s, int& scale, int& min) {
  if (s < 4) {
    scale = packed[s] & 63;
    min = packed[s + 4] & 63;
  } else {
    scale = (packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4;
    min = (packed[s + 4] >> 4) | (packed[s] >> 6) << 4;
  }
}

// d:f16 dmin:f16 scales:12 q:128; per 32 elements x = d*sc * q - dmin*m; 32 bytes hold two sub-blocks, low
// then high
void q4_k(const std::uint8_t* b, float* out) {
  const float d = load_half(b), dmin = load_half(b + 2);
  for (int s = 0; s < 8; ++s) {
    int scale = 0, min = 0;
    scale_and_min(b + 4, s, scale, min);
    const float dl = d * static_cast<float>(scale), ml = dmin * static_cast<float>(min);
    const std::uint8_t* q = b + 16 + s / 2 * 32;
    for (int i = 0; i < 32; ++i) out[s * 32 + i] = dl * static_cast<float>((q[i] >> (s % 2 * 4)) & 15) - ml;
  }
}

// d:f16 dmin:f16 scales:12 h:32 q:128; bit s of h[i] is the fifth bit of element i of sub-block s
void q5_k(const std::uint8_t* b, float* out) {
  const float d = load_half(b), dmin = load_half(b + 2);
  for (int s = 0; s < 8; ++s) {
    int scale = 0, min = 0;
    scale_and_min(b + 4, s, scale, min);
    const float dl = d * static_cast<float>(scale), ml = dmin * static_cast<float>(min);
    const std::uint8_t* q = b + 48 + s / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = ((q[i] >> (s % 2 * 4)) & 15) | ((b[16 + i] >> s) & 1) << 4;
      out[s * 32 + i] = dl * static_cast<float>(code) - ml;
    }
  }
}

// ql:128 qh:64 scales:16 i8 d:f16; per 16 elements x = d*sc * (q - 32). Each half of 128 elements has 64
// bytes of low nibbles (elements 0-31, 32-63 low; 64-95, 96-127 high) and 32 bytes of bit pairs.
void q6_k(const std::uint8_t* b, float* out) {
  const float d = load_half(b + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, in_half = i % 128;
    const int low = (b[half * 64 + in_half % 64] >> (in_half / 64 * 4)) & 15;
    const int high = (b[128 + half * 32 + in_half % 32] >> (in_half / 32 * 2)) & 3;
    const float dl = d * static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16]));
    out[i] = dl * static_cast<float>((low | high << 4) - 32);
  }
}

}  // namespace

DequantizeBlock dequantizer(gguf::TensorType type) {
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
