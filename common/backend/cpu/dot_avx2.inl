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

/// Codes below 16, inputs down to -128: 8 pairs of products stay within 30720, so 16-bit sums are exact and are widened once.
template <class F, int kRows>
TROUPE_INLINE void dot_nibbles(const std::byte* block, const std::int8_t* x, std::size_t stride, int part, __m256i (*isum)[2]) {
  constexpr int kGroups = 8 / F::kParts;
  __m256i words[kRows][F::kPlanes][2];
  clear(words[0][0], 2 * kRows * F::kPlanes);
#pragma GCC unroll 8
  for (int i = 0; i < kGroups; ++i) {
    const int group = F::kHalves ? 4 * part + i : i / 2 + 4 * (i % 2);
    __m256i codes[2];
    load_group<F>(block, group, codes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int plane = 0; plane < F::kPlanes; ++plane) {
        const __m256i inputs = four_inputs(x + static_cast<std::size_t>(r) * stride + 32 * plane + 4 * group);
#pragma GCC unroll 8
        for (int side = 0; side < 2; ++side) {
          __m256i& sum = words[r][plane][side];
          sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes[side], inputs));
        }
      }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int side = 0; side < 2; ++side) {
      const __m256i low = sum_pairs(words[r][F::kPlanes - 1][side]);
      isum[r][side] = F::kPlanes == 1 ? low
                                      : _mm256_add_epi32(_mm256_madd_epi16(words[r][0][side], _mm256_set1_epi16(256)), low);
    }
}

/// Codes below 64, inputs down to -128: two pairs of products stay within 32256. One plane after the other.
template <class F, int kRows>
TROUPE_INLINE void dot_small(const std::byte* block, const std::int8_t* x, std::size_t stride, int part, __m256i (*isum)[2]) {
  constexpr int kGroups = 8 / F::kParts;
  clear(isum[0], 2 * kRows);
#pragma GCC unroll 8
  for (int plane = 0; plane < F::kPlanes; ++plane) {
    if (plane == 1)
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int side = 0; side < 2; ++side) isum[r][side] = _mm256_slli_epi32(isum[r][side], 8);
#pragma GCC unroll 8
    for (int i = 0; i < kGroups; i += 2) {
      const int group = part * kGroups + i;
      __m256i codes[2];
      __m256i next[2];
      load_group<F>(block, group, codes);
      load_group<F>(block, group + 1, next);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const std::int8_t* at = x + static_cast<std::size_t>(r) * stride + 32 * plane + 4 * group;
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

/// Four 16-bit inputs, repeated for each of 4 outputs.
TROUPE_INLINE __m256i four_words(const std::int16_t* x) {
  long long words;
  __builtin_memcpy(&words, x, 8);
  return _mm256_set1_epi64x(words);
}

/// The same with inputs of 16 bits, from widen_rows(): products of words. One side: outputs 0 1 4 5, then 2 3 6 7.
template <int kRows>
TROUPE_INLINE void dot_words(const std::byte* block, const std::int16_t* x, std::size_t stride, int side, __m256i (*isum)[2]) {
  __m256i sums[kRows][2];
  clear(sums[0], 2 * kRows);
#pragma GCC unroll 8
  for (int group = 0; group < 8; ++group) {
    const __m256i bytes = load_256(block + 64 * group + 32 * side);
    const __m256i zero_point = _mm256_set1_epi16(128);
    const __m256i codes[2] = {
        _mm256_sub_epi16(_mm256_unpacklo_epi8(bytes, _mm256_setzero_si256()), zero_point),
        _mm256_sub_epi16(_mm256_unpackhi_epi8(bytes, _mm256_setzero_si256()), zero_point)};
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_words(x + static_cast<std::size_t>(r) * stride + 4 * group);
#pragma GCC unroll 8
      for (int i = 0; i < 2; ++i) sums[r][i] = _mm256_add_epi32(sums[r][i], _mm256_madd_epi16(codes[i], inputs));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) isum[r][side] = _mm256_hadd_epi32(sums[r][0], sums[r][1]);
}

/// Whether rows of 16 bits are multiplied as words: codes of 8 bits leave no room for a second plane's pairs.
template <class F>
constexpr bool uses_words() {
  return F::kPlanes == 2 && F::kZeroShift == 7;
}

/// So many rows fit sixteen registers.
template <class F>
constexpr std::uint32_t most_rows() {
  if (F::kNibbles) return F::kPlanes == 2 ? 2 : 4;
  return F::kZeroShift == 7 ? 4 : 3;
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

template <class F>
TROUPE_INLINE __m256 load_scales_8(const std::byte* p) {
  if constexpr (F::kWide) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  return _mm256_cvtph_ps(load_128(p));
}

/// As add_block(), for the side's 8 outputs.
template <class F>
TROUPE_INLINE void add_sides(__m256* acc, const __m256i* isum, const std::byte* scales, const BlockMeta& x, int part) {
  const __m256 d = _mm256_set1_ps(x.d);
  const __m256 sum = _mm256_set1_ps(F::kHalves ? x.half_sums[part] : x.sum);
#pragma GCC unroll 8
  for (int side = 0; side < 2; ++side) {
    const std::byte* at = scales + F::kScaleStep / 2 * static_cast<std::size_t>(side);
    acc[side] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[side]), _mm256_mul_ps(load_scales_8<F>(at), d), acc[side]);
    if constexpr (F::kMin) acc[side] = _mm256_fmadd_ps(load_scales_8<F>(at + F::kScaleStep * F::kParts), sum, acc[side]);
  }
}

template <class F, int kRows>
void quant_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  const std::byte* block = job.panels + panel * job.panel_bytes;
  const std::int8_t* x = codes_of(job, row);
  const BlockMeta* meta = meta_of(job, row);
  const std::int16_t* words = job.words + row % kRowsAtOnce * job.k;
  const Fetch fetch = Fetch::make<F>(job, row, most_rows<F>());
  __m256 acc[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  const std::uint32_t blocks = job.k / kBlock;
  for (std::uint32_t b = 0; b < blocks; ++b, block += F::kBlockBytes, x += F::kRowStep, words += kBlock, ++meta) {
    fetch(block);
#pragma GCC unroll 8
    for (int part = 0; part < F::kParts; ++part) {
      __m256i isum[kRows][2];
      if constexpr (uses_words<F>()) {
        dot_words<kRows>(block, words, job.k, 0, isum);
        dot_words<kRows>(block, words, job.k, 1, isum);
      } else {
        dot<F, kRows>(block, x, job.row_bytes, part, isum);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const std::size_t skip = static_cast<std::size_t>(r) * job.row_bytes;
        const BlockMeta& row_meta = *reinterpret_cast<const BlockMeta*>(reinterpret_cast<const std::byte*>(meta) + skip);
        if constexpr (F::kZero && F::kZeroShift != 7) {  // the other products take the zero point off each code
          const __m256i minus = _mm256_slli_epi32(
              _mm256_set1_epi32(F::kHalves ? row_meta.minus_half_sums[part] : row_meta.minus_sum), F::kZeroShift);
#pragma GCC unroll 8
          for (int side = 0; side < 2; ++side) isum[r][side] = _mm256_add_epi32(isum[r][side], minus);
        }
        add_sides<F>(acc[r], isum[r], block + F::kCodeBytes + F::kScaleStep * static_cast<std::size_t>(part), row_meta, part);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
    finish_output(job, panel, row + static_cast<std::uint32_t>(r), F32x16{acc[r][0], acc[r][1]});
}

/// Puts 16-bit codes together from their planes, for formats that multiply words.
TROUPE_INLINE void ready_rows(const LinearJob& job, std::uint32_t row, std::uint32_t count) {
  if (!job.wide || job.format.zero_shift != 7 || job.kind != PanelKind::quantized) return;
  for (std::uint32_t r = 0; r < count; ++r) {
    const std::int8_t* x = codes_of(job, row + r);
    std::int16_t* to = job.words + std::size_t{(row + r) % kRowsAtOnce} * job.k;
    for (std::uint32_t i = 0; i < job.k; i += 16, x += i % kBlock == 0 ? 48 : 16, to += 16) {
      const __m256i high = _mm256_slli_epi16(_mm256_cvtepi8_epi16(load_128(x)), 8);
      const __m256i low = _mm256_cvtepi8_epi16(load_128(x + 32));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi16(high, low));
    }
  }
}
