// F32x16 and I32x16 in plain C++. Included inside an instruction set's namespace; every operation is one IEEE operation per
// lane, so the three versions agree bit for bit. max and min take the second operand when either is NaN.

struct F32x16 {
  float v[16];
};
struct I32x16 {
  std::int32_t v[16];
};
constexpr int kRegisterVectors = 1;  // 16-float vectors that registers hold

#define TROUPE_LANES(expression)             \
  F32x16 r;                                  \
  for (int i = 0; i < 16; ++i) r.v[i] = (expression); \
  return r

TROUPE_INLINE F32x16 set1(float x) { TROUPE_LANES(x); }
TROUPE_INLINE F32x16 zero() { return set1(0.0F); }
TROUPE_INLINE F32x16 load(const float* p) { TROUPE_LANES(p[i]); }
TROUPE_INLINE F32x16 load_n(const float* p, std::uint32_t n) { TROUPE_LANES(static_cast<std::uint32_t>(i) < n ? p[i] : 0.0F); }
TROUPE_INLINE F32x16 load_half(const std::uint16_t* p) { TROUPE_LANES(half_to_float(p[i])); }
TROUPE_INLINE F32x16 load_bf16(const std::uint16_t* p) { TROUPE_LANES(bf16_to_float(p[i])); }
TROUPE_INLINE void store(float* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
TROUPE_INLINE void store_n(float* p, F32x16 a, std::uint32_t n) {
  for (std::uint32_t i = 0; i < n; ++i) p[i] = a.v[i];
}
TROUPE_INLINE void store_half(std::uint16_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
}
TROUPE_INLINE F32x16 add(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] + b.v[i]); }
TROUPE_INLINE F32x16 sub(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] - b.v[i]); }
TROUPE_INLINE F32x16 mul(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] * b.v[i]); }
TROUPE_INLINE F32x16 div(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] / b.v[i]); }
TROUPE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { TROUPE_LANES(__builtin_fmaf(a.v[i], b.v[i], c.v[i])); }
TROUPE_INLINE F32x16 max(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
TROUPE_INLINE F32x16 min(F32x16 a, F32x16 b) { TROUPE_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
TROUPE_INLINE F32x16 abs(F32x16 a) { TROUPE_LANES(__builtin_fabsf(a.v[i])); }
TROUPE_INLINE F32x16 copy_sign(F32x16 size, F32x16 sign) { TROUPE_LANES(__builtin_copysignf(size.v[i], sign.v[i])); }
/// Lanes 1 0 3 2 5 4 ...
TROUPE_INLINE F32x16 swap_pairs(F32x16 a) { TROUPE_LANES(a.v[i ^ 1]); }
/// a < b ? x : y, lane by lane.
TROUPE_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) { TROUPE_LANES(a.v[i] < b.v[i] ? x.v[i] : y.v[i]); }
/// Lanes in [begin, end) of a, the others of `fill`.
TROUPE_INLINE F32x16 keep(F32x16 a, int begin, int end, F32x16 fill) { TROUPE_LANES(i >= begin && i < end ? a.v[i] : fill.v[i]); }
TROUPE_INLINE F32x16 to_float(I32x16 a) { TROUPE_LANES(static_cast<float>(a.v[i])); }
/// 2^n for n in [-126, 127].
TROUPE_INLINE F32x16 power_of_two(I32x16 n) { TROUPE_LANES(__builtin_bit_cast(float, (n.v[i] + 127) << 23)); }
#undef TROUPE_LANES

/// To nearest even; |a| < 2^22 and no NaN.
TROUPE_INLINE I32x16 round_to_int(F32x16 a) {
  I32x16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<std::int32_t>((a.v[i] + 0x1.8p23F) - 0x1.8p23F);
  return r;
}
TROUPE_INLINE I32x16 half_of(I32x16 a) {
  for (int i = 0; i < 16; ++i) a.v[i] >>= 1;
  return a;
}
TROUPE_INLINE I32x16 minus(I32x16 a, I32x16 b) {
  for (int i = 0; i < 16; ++i) a.v[i] -= b.v[i];
  return a;
}
TROUPE_INLINE I32x16 load_bytes(const std::int8_t* p) {
  I32x16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[i];
  return r;
}
/// Values in [-128, 127].
TROUPE_INLINE void store_bytes(std::int8_t* p, I32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(a.v[i]);
}
/// Of 16 codes.
TROUPE_INLINE std::int32_t sum_bytes(const std::int8_t* p) {
  std::int32_t total = 0;
  for (int i = 0; i < 16; ++i) total += p[i];
  return total;
}
/// The merge tree of every reduction: lanes 8 apart, then 4, 2, 1.
TROUPE_INLINE float tree_sum(F32x16 a) {
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a.v[i] = a.v[i] + a.v[i + step];
  return a.v[0];
}
TROUPE_INLINE float tree_max(F32x16 a) {
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a.v[i] = a.v[i] > a.v[i + step] ? a.v[i] : a.v[i + step];
  return a.v[0];
}
