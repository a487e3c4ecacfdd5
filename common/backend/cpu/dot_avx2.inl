// The integer products for AVX2. How many 16-bit pair sums fit in 16 bits depends on the format's codes.

TROUPE_INLINE __m256i sum_pairs(__m256i words) { return _mm256_madd_epi16(words, _mm256_set1_epi16(1)); }

/// Codes below 16, inputs within +-127: 8 pairs of products stay within 30480, so 16-bit sums are exact and are widened once.
template <class F, int kRows>
TROUPE_INLINE void dot_nibbles(const std::byte* block, const std::int8_t* const* x, int part, __m256i (*isum)[2]) {
  constexpr int kGroups = 8 / F::kParts;
  __m256i words[kRows][2];
  clear(words[0], 2 * kRows);
#pragma GCC unroll 8
  for (int i = 0; i < kGroups; ++i) {
    const int group = F::kHalves ? 4 * part + i : i / 2 + 4 * (i % 2);
    __m256i codes[2];
    load_group<F>(block, group, codes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_inputs(x[r] + 4 * group);
#pragma GCC unroll 8
      for (int side = 0; side < 2; ++side)
        words[r][side] = _mm256_add_epi16(words[r][side], _mm256_maddubs_epi16(codes[side], inputs));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int side = 0; side < 2; ++side) isum[r][side] = sum_pairs(words[r][side]);
}

/// Codes below 64, inputs within +-127: two pairs of products stay within 32004.
template <class F, int kRows>
TROUPE_INLINE void dot_small(const std::byte* block, const std::int8_t* const* x, int part, __m256i (*isum)[2]) {
  constexpr int kGroups = 8 / F::kParts;
  clear(isum[0], 2 * kRows);
#pragma GCC unroll 8
  for (int i = 0; i < kGroups; i += 2) {
    const int group = part * kGroups + i;
    __m256i codes[2];
    __m256i next[2];
    load_group<F>(block, group, codes);
    load_group<F>(block, group + 1, next);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_inputs(x[r] + 4 * group);
      const __m256i next_inputs = four_inputs(x[r] + 4 * group + 4);
#pragma GCC unroll 8
      for (int side = 0; side < 2; ++side) {
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(codes[side], inputs),
                                               _mm256_maddubs_epi16(next[side], next_inputs));
        isum[r][side] = _mm256_add_epi32(isum[r][side], sum_pairs(pairs));
      }
    }
  }
}

/// Codes of 8 bits, zero point 128, inputs within +-127: |code - 128| times the input with the code's sign. A pair stays
/// within 2 * 128 * 127.
template <int kRows>
TROUPE_INLINE void dot_bytes(const std::byte* block, const std::int8_t* const* x, __m256i (*isum)[2]) {
  clear(isum[0], 2 * kRows);
#pragma GCC unroll 8
  for (int group = 0; group < 8; ++group) {
    __m256i codes[2];
    __m256i sizes[2];
#pragma GCC unroll 8
    for (int side = 0; side < 2; ++side) {
      codes[side] = _mm256_sub_epi8(load_256(block + 64 * group + 32 * side), _mm256_set1_epi8(-128));
      sizes[side] = _mm256_abs_epi8(codes[side]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_inputs(x[r] + 4 * group);
#pragma GCC unroll 8
      for (int side = 0; side < 2; ++side) {
        const __m256i pairs = sum_pairs(_mm256_maddubs_epi16(sizes[side], _mm256_sign_epi8(inputs, codes[side])));
        isum[r][side] = _mm256_add_epi32(isum[r][side], pairs);
      }
    }
  }
}

/// So many rows fit sixteen registers.
template <class F>
constexpr std::uint32_t most_rows() {
  return F::kNibbles || F::kZeroShift == 7 ? 4 : 3;
}

template <class F, int kRows>
TROUPE_INLINE void dot(const std::byte* block, const std::int8_t* const* x, int part, __m256i (*isum)[2]) {
  if constexpr (F::kNibbles)
    dot_nibbles<F, kRows>(block, x, part, isum);
  else if constexpr (F::kZeroShift == 7)
    dot_bytes<kRows>(block, x, isum);
  else
    dot_small<F, kRows>(block, x, part, isum);
}

/// dot_bytes() takes the zero point off each code.
template <class F>
constexpr bool kZeroStays = F::kZero && F::kZeroShift != 7;
