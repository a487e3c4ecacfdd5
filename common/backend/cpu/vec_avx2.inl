// F32x16 and I32x16 as two 256-bit halves; see vec_scalar.inl for what each operation means.

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
constexpr int kRegisterVectors = 8;  // 16-float vectors that registers hold

TROUPE_INLINE __m256i lane_numbers() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
/// All ones in lanes below n.
TROUPE_INLINE __m256i below(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane_numbers()); }

TROUPE_INLINE F32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TROUPE_INLINE F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
TROUPE_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TROUPE_INLINE F32x16 load_n(const float* p, std::uint32_t n) {
  const int count = static_cast<int>(n);
  return {_mm256_maskload_ps(p, below(count)), _mm256_maskload_ps(p + 8, below(count - 8))};
}
TROUPE_INLINE __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
TROUPE_INLINE F32x16 load_half(const std::uint16_t* p) {
  return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))};
}
TROUPE_INLINE __m256 widen_bf16(__m128i p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(p), 16));
}
TROUPE_INLINE F32x16 load_bf16(const std::uint16_t* p) { return {widen_bf16(load_128(p)), widen_bf16(load_128(p + 8))}; }
TROUPE_INLINE void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
TROUPE_INLINE void store_n(float* p, F32x16 a, std::uint32_t n) {
  const int count = static_cast<int>(n);
  _mm256_maskstore_ps(p, below(count), a.lo);
  _mm256_maskstore_ps(p + 8, below(count - 8), a.hi);
}
TROUPE_INLINE void store_half(std::uint16_t* p, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}
TROUPE_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
TROUPE_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
TROUPE_INLINE F32x16 mul(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
TROUPE_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
TROUPE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TROUPE_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
TROUPE_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
TROUPE_INLINE __m256 sign_bits() { return _mm256_castsi256_ps(_mm256_set1_epi32(INT32_MIN)); }
TROUPE_INLINE F32x16 abs(F32x16 a) { return {_mm256_andnot_ps(sign_bits(), a.lo), _mm256_andnot_ps(sign_bits(), a.hi)}; }
TROUPE_INLINE F32x16 copy_sign(F32x16 size, F32x16 sign) {
  const F32x16 bare = abs(size);
  return {_mm256_or_ps(bare.lo, _mm256_and_ps(sign_bits(), sign.lo)),
          _mm256_or_ps(bare.hi, _mm256_and_ps(sign_bits(), sign.hi))};
}
TROUPE_INLINE F32x16 swap_pairs(F32x16 a) { return {_mm256_permute_ps(a.lo, 0xb1), _mm256_permute_ps(a.hi, 0xb1)}; }
TROUPE_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
TROUPE_INLINE __m256 keep_8(__m256 a, int begin, int end, __m256 fill) {
  return _mm256_blendv_ps(fill, a, _mm256_castsi256_ps(_mm256_andnot_si256(below(begin), below(end))));
}
TROUPE_INLINE F32x16 keep(F32x16 a, int begin, int end, F32x16 fill) {
  return {keep_8(a.lo, begin, end, fill.lo), keep_8(a.hi, begin - 8, end - 8, fill.hi)};
}
TROUPE_INLINE F32x16 to_float(I32x16 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
TROUPE_INLINE __m256 power_8(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
TROUPE_INLINE F32x16 power_of_two(I32x16 n) { return {power_8(n.lo), power_8(n.hi)}; }
TROUPE_INLINE I32x16 round_to_int(F32x16 a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
TROUPE_INLINE I32x16 half_of(I32x16 a) { return {_mm256_srai_epi32(a.lo, 1), _mm256_srai_epi32(a.hi, 1)}; }
TROUPE_INLINE I32x16 minus(I32x16 a, I32x16 b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
TROUPE_INLINE I32x16 load_bytes(const std::int8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
}
TROUPE_INLINE void store_bytes(std::int8_t* p, I32x16 a) {
  // packs works inside 128-bit halves: the permutation puts the four groups of four words back in order.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}
TROUPE_INLINE std::int32_t sum_bytes(const std::int8_t* p) {
  // Shifted to 0..255, absolute differences with zero sum 8 bytes each.
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i sums = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2) - 16 * 128;
}
TROUPE_INLINE float tree_sum(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
TROUPE_INLINE float tree_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
