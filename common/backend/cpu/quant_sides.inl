// Rows against a panel in two registers of 8 outputs, after the instruction set's dot(), most_rows() and kZeroStays.

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

/// As add_block(), for 8 outputs a side, with the zero point taken off where dot() left it in.
template <class F>
TROUPE_INLINE void add_sides(__m256* acc, __m256i* isum, const std::byte* block, const std::byte* factors, const BlockMeta& x,
                             int part) {
  if constexpr (kZeroStays<F>) {
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
  static constexpr std::size_t kAhead = 6144;
  std::size_t from_ = 0;
  std::size_t end_ = 0;
  std::size_t step_ = 64;
};

/// Adds the residuals from `first` on to the sums of `count` rows and writes them. Not inlined: copies for each number of rows would
/// only fill the instruction cache. Rows go side by side, as far as the processor looks ahead.
template <class F>
__attribute__((noinline)) void finish_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row, int count,
                                           std::uint32_t first, const __m256 (*sums)[2]) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  for (int r = 0; r < count; ++r) {
    const std::uint32_t at = row + static_cast<std::uint32_t>(r);
    const Residual* rest = residuals_of(job, at);
    __m256 acc[2] = {sums[r][0], sums[r][1]};
    for (std::uint32_t i = first; i < job.residuals; ++i) {
      const std::byte* block = block_at<F>(weights, rest[i].meta.block);
      const std::int8_t* codes = rest[i].codes;
#pragma GCC unroll 2
      for (int part = 0; part < F::kParts; ++part) {
        __m256i isum[1][2];
        dot<F, 1>(block, &codes, part, isum);
        add_sides<F>(acc, isum[0], block, factors_at<F>(weights, rest[i].meta.block), rest[i].meta, part);
      }
    }
    finish_output(job, panel, at, {acc[0], acc[1]});
  }
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
    const std::ptrdiff_t to_meta = reinterpret_cast<const std::int8_t*>(meta) - x;
    const std::int8_t* inputs[kRows];
    const std::int8_t* next = x;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      // Known to be multiples of a stride, the addresses of all rows and groups would be kept, on the stack: two loads each.
      asm("" : "+r"(next));
      inputs[r] = next;
      next += job.row_bytes;
    }
#pragma GCC unroll 8
    for (int part = 0; part < F::kParts; ++part) {
      __m256i isum[kRows][2];
      dot<F, kRows>(block, inputs, part, isum);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
        add_sides<F>(acc[r], isum[r], block, factors, *reinterpret_cast<const BlockMeta*>(inputs[r] + to_meta), part);
    }
  }
  __m256 sums[kRows][2];  // apart from acc, whose address must not be known: it would be kept in memory
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = acc[r][0];
    sums[r][1] = acc[r][1];
  }
  finish_rows<F>(job, panel, row, kRows, common, sums);
}
