// What both 256-bit instruction sets share before their integer products. A group is four inputs of 16 outputs, two registers
// ("sides") of 8 outputs; one repeated load of a row's four inputs serves both.

TROUPE_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
/// Four inputs, repeated for each of 8 outputs.
TROUPE_INLINE __m256i four_inputs(const std::int8_t* x) {
  std::int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}

TROUPE_INLINE void clear(__m256i* sums, int count) {
#pragma GCC unroll 16
  for (int i = 0; i < count; ++i) sums[i] = _mm256_setzero_si256();
}

/// The codes of one group, both sides.
template <class F>
TROUPE_INLINE void load_group(const std::byte* block, int group, __m256i* codes) {
  const std::byte* at = block + 64 * (F::kNibbles ? group % 4 : group);
#pragma GCC unroll 8
  for (int side = 0; side < 2; ++side) {
    codes[side] = load_256(at + 32 * side);
    if constexpr (F::kNibbles) {
      if (group >= 4) codes[side] = _mm256_srli_epi16(codes[side], 4);
      codes[side] = _mm256_and_si256(codes[side], _mm256_set1_epi8(15));
    }
  }
}
