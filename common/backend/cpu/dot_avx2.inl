// The integer products for AVX2. A group is four inputs of 16 outputs, two registers ("sides") of 8 outputs; one repeated
// load of a row's four inputs serves both. How many 16-bit pair sums fit in 16 bits depends on the format's codes.

TROUPE_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
/// Four inputs, repeated for each of 8 outputs.
TROUPE_INLINE __m256i four_inputs(const std::int8_t* x) {
  std::int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}
TROUPE_INLINE __m256i sum_pairs(__m256i words) { return _mm256_madd_epi16(words, _mm256_set1_epi16(1)); }

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

/// Codes below 16, inputs within +-127: 8 pairs of products stay within 30480, so 16-bit sums are exact and are widened once.
template <class F, int kRows>
TROUPE_INLINE void dot_nibbles(const std::byte* block, const std::int8_t* x, std::size_t stride, int part, __m256i (*isum)[2]) {
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
      const __m256i inputs = four_inputs(x + static_cast<std::size_t>(r) * stride + 4 * group);
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
TROUPE_INLINE void dot_small(const std::byte* block, const std::int8_t* x, std::size_t stride, int part, __m256i (*isum)[2]) {
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
      const std::int8_t* at = x + static_cast<std::size_t>(r) * stride + 4 * group;
      const __m256i inputs = four_inputs(at);
      const __m256i next_inputs = four_inputs(at + 4);
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
TROUPE_INLINE void dot_bytes(const std::byte* block, const std::int8_t* x, std::size_t stride, __m256i (*isum)[2]) {
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
      const __m256i inputs = four_inputs(x + static_cast<std::size_t>(r) * stride + 4 * group);
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
TROUPE_INLINE void dot(const std::byte* block, const std::int8_t* x, std::size_t stride, int part, __m256i (*isum)[2]) {
  if constexpr (F::kNibbles)
    dot_nibbles<F, kRows>(block, x, stride, part, isum);
  else if constexpr (F::kZeroShift == 7)
    dot_bytes<kRows>(block, x, stride, isum);
  else
    dot_small<F, kRows>(block, x, stride, part, isum);
}

/// As load_scales() and load_mins(), a side's 8.
template <class F, bool kMins>
TROUPE_INLINE __m256 load_scales_8(const std::byte* block, const std::byte* factors, int part, int side) {
  const std::byte* at = block + (kMins ? F::kMinOffset : F::kCodeBytes) + F::kScaleStep * static_cast<std::size_t>(part) +
                        F::kScaleStep / 2 * static_cast<std::size_t>(side);
  if constexpr (!F::kFactored) return _mm256_cvtph_ps(load_128(at));
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
  return _mm256_mul_ps(_mm256_cvtph_ps(load_128(factors + (kMins ? 32 : 0) + 16 * side)),
                       _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
}

/// As add_block(), for 8 outputs a side, with the zero point taken off where dot() did not take it off each code.
template <class F>
TROUPE_INLINE void add_sides(__m256* acc, __m256i* isum, const std::byte* block, const std::byte* factors, const BlockMeta& x,
                             int part) {
  if constexpr (F::kZero && F::kZeroShift != 7) {
    const __m256i minus =
        _mm256_slli_epi32(_mm256_set1_epi32(F::kHalves ? x.minus_half_sums[part] : x.minus_sum), F::kZeroShift);
#pragma GCC unroll 8
    for (int side = 0; side < 2; ++side) isum[side] = _mm256_add_epi32(isum[side], minus);
  }
  const __m256 d = _mm256_set1_ps(x.d);
  const __m256 sum = _mm256_set1_ps(F::kHalves ? x.half_sums[part] : x.sum);
#pragma GCC unroll 8
  for (int side = 0; side < 2; ++side) {
    const __m256 scales = load_scales_8<F, false>(block, factors, part, side);
    acc[side] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[side]), _mm256_mul_ps(scales, d), acc[side]);
    if constexpr (F::kMin) acc[side] = _mm256_fmadd_ps(load_scales_8<F, true>(block, factors, part, side), sum, acc[side]);
  }
}

/// Asks for weights ahead of their use while the first rows pass over a panel; later rows find them in a cache. Rows that
/// take one pass read on in memory; with several passes each asks for its share of the next panel.
class Fetch {
 public:
  template <class F>
  static Fetch make(const LinearJob& job, std::uint32_t row, std::uint32_t most) {
    Fetch fetch;
    const std::uint32_t together = rows_at_once(job);
    if (row >= together) return fetch;
    const std::uint32_t rows = job.row_count < together ? job.row_count : together;
    const std::uint32_t passes = (rows + most - 1) / most;
    fetch.from_ = (passes > 1 ? job.panel_bytes : kAhead) + row / most * 64;
    fetch.end_ = fetch.from_ - row / most * 64 + F::kBlockBytes;
    fetch.step_ = passes * 64;
    return fetch;
  }
  TROUPE_INLINE void operator()(const std::byte* block) const {
    for (std::size_t at = from_; at < end_; at += step_) __builtin_prefetch(block + at);
  }

 private:
  static constexpr std::size_t kAhead = 3072;
  std::size_t from_ = 0;
  std::size_t end_ = 0;
  std::size_t step_ = 64;
};

/// One row's residuals from `first` on. Not inlined: copies for each row would only fill the instruction cache.
template <class F>
__attribute__((noinline)) F32x16 add_residuals(const LinearJob& job, std::uint32_t panel, std::uint32_t row,
                                                std::uint32_t first, F32x16 sums) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  const Residual* rest = residuals_of(job, row) + first;
  __m256 acc[2] = {sums.lo, sums.hi};
  for (std::uint32_t i = first; i < job.residuals; ++i, ++rest) {
    const std::byte* block = block_at<F>(weights, rest->meta.block);
    for (int part = 0; part < F::kParts; ++part) {
      __m256i isum[1][2];
      dot<F, 1>(block, rest->codes, 0, part, isum);
      add_sides<F>(acc, isum[0], block, factors_at<F>(weights, rest->meta.block), rest->meta, part);
    }
  }
  return {acc[0], acc[1]};
}

template <class F, int kRows>
void quant_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  const std::int8_t* x = codes_of(job, row);
  const BlockMeta* meta = meta_of(job, row);
  const Fetch fetch = Fetch::make<F>(job, row, most_rows<F>());
  __m256 acc[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  const std::uint32_t blocks = job.k / kBlock;
  const std::uint32_t common = common_residuals(job, row, kRows);
  for (std::uint32_t b = 0; b < blocks + common; ++b, x += kBlock, ++meta) {
    const std::byte* block = block_at<F>(weights, b);
    const std::byte* factors = factors_at<F>(weights, b);
    if (b >= blocks) {
      const Residual& rest = residuals_of(job, row)[b - blocks];
      block = block_at<F>(weights, rest.meta.block);
      factors = factors_at<F>(weights, rest.meta.block);
      x = rest.codes;
      meta = &rest.meta;
    }
    fetch(block);
#pragma GCC unroll 8
    for (int part = 0; part < F::kParts; ++part) {
      __m256i isum[kRows][2];
      dot<F, kRows>(block, x, job.row_bytes, part, isum);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const std::size_t skip = static_cast<std::size_t>(r) * job.row_bytes;
        const BlockMeta& row_meta = *reinterpret_cast<const BlockMeta*>(reinterpret_cast<const std::byte*>(meta) + skip);
        add_sides<F>(acc[r], isum[r], block, factors, row_meta, part);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const std::uint32_t at = row + static_cast<std::uint32_t>(r);
    const F32x16 sums{acc[r][0], acc[r][1]};
    finish_output(job, panel, at, common == job.residuals ? sums : add_residuals<F>(job, panel, at, common, sums));
  }
}
