// F32x16 and I32x16 as one 512-bit register; see vec_scalar.inl for what each operation means.

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
constexpr int kRegisterVectors = 32;  // 16-float vectors that registers hold

/// Lanes below n, for n in any range.
TROUPE_INLINE __mmask16 below(int n) {
  return static_cast<__mmask16>(n <= 0 ? 0U : n >= 16 ? 0xffffU : (1U << n) - 1U);
}

TROUPE_INLINE F32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
TROUPE_INLINE F32x16 zero() { return {_mm512_setzero_ps()}; }
TROUPE_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
TROUPE_INLINE F32x16 load_n(const float* p, std::uint32_t n) { return {_mm512_maskz_loadu_ps(below(static_cast<int>(n)), p)}; }
TROUPE_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
TROUPE_INLINE F32x16 load_half(const std::uint16_t* p) { return {_mm512_cvtph_ps(load_256(p))}; }
TROUPE_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_256(p)), 16))};
}
TROUPE_INLINE void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
TROUPE_INLINE void store_n(float* p, F32x16 a, std::uint32_t n) { _mm512_mask_storeu_ps(p, below(static_cast<int>(n)), a.v); }
TROUPE_INLINE void store_half(std::uint16_t* p, F32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
TROUPE_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
TROUPE_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
TROUPE_INLINE F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
TROUPE_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
TROUPE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TROUPE_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
TROUPE_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
TROUPE_INLINE __m512 sign_bits() { return _mm512_castsi512_ps(_mm512_set1_epi32(INT32_MIN)); }
TROUPE_INLINE F32x16 abs(F32x16 a) { return {_mm512_andnot_ps(sign_bits(), a.v)}; }
TROUPE_INLINE F32x16 copy_sign(F32x16 size, F32x16 sign) {
  return {_mm512_or_ps(abs(size).v, _mm512_and_ps(sign_bits(), sign.v))};
}
TROUPE_INLINE F32x16 swap_pairs(F32x16 a) { return {_mm512_permute_ps(a.v, 0xb1)}; }
TROUPE_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
TROUPE_INLINE F32x16 keep(F32x16 a, int begin, int end, F32x16 fill) {
  return {_mm512_mask_blend_ps(_kandn_mask16(below(begin), below(end)), fill.v, a.v)};
}
TROUPE_INLINE F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
TROUPE_INLINE F32x16 power_of_two(I32x16 n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23))};
}
TROUPE_INLINE I32x16 round_to_int(F32x16 a) { return {_mm512_cvtps_epi32(a.v)}; }
TROUPE_INLINE I32x16 half_of(I32x16 a) { return {_mm512_srai_epi32(a.v, 1)}; }
TROUPE_INLINE I32x16 minus(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
TROUPE_INLINE I32x16 load_bytes(const std::int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
TROUPE_INLINE void store_bytes(std::int8_t* p, I32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
TROUPE_INLINE std::int32_t sum_bytes(const std::int8_t* p) {
  // Shifted to 0..255, absolute differences with zero sum 8 bytes each.
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i sums = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2) - 16 * 128;
}
TROUPE_INLINE float tree_sum(F32x16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
TROUPE_INLINE float tree_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
