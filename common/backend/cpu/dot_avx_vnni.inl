// The integer products for AVX-VNNI: one vpdpbusd takes four inputs of 8 outputs and adds them in 32 bits, whatever the codes.

template <class F>
constexpr bool kZeroStays = F::kZero;

/// So many rows' sums fit sixteen registers.
template <class F>
constexpr std::uint32_t most_rows() {
  return 6;
}

template <class F, int kRows>
TROUPE_INLINE void dot(const std::byte* block, const std::int8_t* const* x, int part, __m256i (*isum)[2]) {
  constexpr int kGroups = 8 / F::kParts;
  clear(isum[0], 2 * kRows);
#pragma GCC unroll 8
  for (int i = 0; i < kGroups; ++i) {
    const int group = part * kGroups + i;
    __m256i codes[2];
    load_group<F>(block, group, codes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_inputs(x[r] + 4 * group);
#pragma GCC unroll 8
      for (int side = 0; side < 2; ++side) isum[r][side] = _mm256_dpbusd_avx_epi32(isum[r][side], codes[side], inputs);
    }
  }
}
