// The kernels for AVX2 with FMA and F16C. Nothing is included inside the target region but our own bodies, so that no
// standard library template is compiled for an instruction set the machine may lack.
#include <immintrin.h>

#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/tensor/half.hpp"

#define TROUPE_INLINE inline __attribute__((always_inline))

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")

namespace troupe::backend::cpu {
namespace {
namespace avx2 {

constexpr std::uint32_t kQuantRows = 4;
constexpr std::uint32_t kFloatRows = 6;
constexpr std::uint32_t kTileRows = 3;
constexpr std::uint32_t kTileVectors = 2;

#include "common/backend/cpu/vec_avx2.inl"
#include "common/backend/cpu/math.inl"
#include "common/backend/cpu/rows.inl"
#include "common/backend/cpu/tiles.inl"
#include "common/backend/cpu/attention_page.inl"
#include "common/backend/cpu/linear.inl"

TROUPE_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
/// Four inputs, repeated for each of 8 outputs.
TROUPE_INLINE __m256i four_inputs(const std::int8_t* x) {
  std::int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}

/// Sums of 16 inputs (one part) or 32 for 8 outputs. Codes below 16, inputs down to -128: 8 pairs of products stay within
/// 30720, so 16-bit sums are exact and are widened once.
template <class F, int kRows>
TROUPE_INLINE void dot_nibbles(const std::byte* codes, const std::int8_t* const* x, std::size_t at, int part, __m256i* isum) {
  const __m256i low_bits = _mm256_set1_epi8(15);
  __m256i words[kRows];
  for (int r = 0; r < kRows; ++r) words[r] = _mm256_setzero_si256();
  for (int group = 0; group < 4; ++group) {
    const __m256i both = load_256(codes + 64 * group);
    if (!F::kHalves || part == 0) {
      const __m256i low = _mm256_and_si256(both, low_bits);
      for (int r = 0; r < kRows; ++r)
        words[r] = _mm256_add_epi16(words[r], _mm256_maddubs_epi16(low, four_inputs(x[r] + at + 4 * group)));
    }
    if (!F::kHalves || part == 1) {
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), low_bits);
      for (int r = 0; r < kRows; ++r)
        words[r] = _mm256_add_epi16(words[r], _mm256_maddubs_epi16(high, four_inputs(x[r] + at + 16 + 4 * group)));
    }
  }
  for (int r = 0; r < kRows; ++r)
    isum[r] = _mm256_add_epi32(isum[r], _mm256_madd_epi16(words[r], _mm256_set1_epi16(1)));
}

/// Codes of up to 8 bits, inputs within +-127: |code - zero| times the input with the code's sign. A pair stays within
/// 2 * 128 * 127.
template <class F, int kRows>
TROUPE_INLINE void dot_bytes(const std::byte* codes, __m256i zero_point, const std::int8_t* const* x, std::size_t at, int part,
                             __m256i* isum) {
  const int begin = F::kHalves ? 4 * part : 0;
  const int end = F::kHalves ? begin + 4 : 8;
  for (int group = begin; group < end; ++group) {
    const __m256i code = _mm256_sub_epi8(load_256(codes + 64 * group), zero_point);
    const __m256i size = _mm256_abs_epi8(code);
    for (int r = 0; r < kRows; ++r) {
      const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(four_inputs(x[r] + at + 4 * group), code));
      isum[r] = _mm256_add_epi32(isum[r], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }
}

/// The same for planes, whose inputs go down to -128, which has no negative: codes as they are. Those of formats with mins
/// or halves are below 64, so a pair stays within 2 * 63 * 128; other codes go as two nibbles, as in dot_nibbles.
template <class F, int kRows>
TROUPE_INLINE void dot_plane_bytes(const std::byte* codes, const std::int8_t* const* x, std::size_t at, int part,
                                   __m256i* isum) {
  const int begin = F::kHalves ? 4 * part : 0;
  const int end = F::kHalves ? begin + 4 : 8;
  if constexpr (F::kHalves || F::kMin) {
    for (int group = begin; group < end; ++group) {
      const __m256i code = load_256(codes + 64 * group);
      for (int r = 0; r < kRows; ++r) {
        const __m256i pairs = _mm256_maddubs_epi16(code, four_inputs(x[r] + at + 4 * group));
        isum[r] = _mm256_add_epi32(isum[r], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      }
    }
    return;
  }
  const __m256i low_bits = _mm256_set1_epi8(15);
  __m256i low[kRows];
  __m256i high[kRows];
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = _mm256_setzero_si256();
  for (int group = begin; group < end; ++group) {
    const __m256i code = load_256(codes + 64 * group);
    const __m256i low_code = _mm256_and_si256(code, low_bits);
    const __m256i high_code = _mm256_and_si256(_mm256_srli_epi16(code, 4), low_bits);
    for (int r = 0; r < kRows; ++r) {
      const __m256i inputs = four_inputs(x[r] + at + 4 * group);
      low[r] = _mm256_add_epi16(low[r], _mm256_maddubs_epi16(low_code, inputs));
      high[r] = _mm256_add_epi16(high[r], _mm256_maddubs_epi16(high_code, inputs));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    isum[r] = _mm256_add_epi32(isum[r], _mm256_madd_epi16(low[r], _mm256_set1_epi16(1)));
    isum[r] = _mm256_add_epi32(isum[r], _mm256_madd_epi16(high[r], _mm256_set1_epi16(16)));
  }
}

template <class F, int kRows>
TROUPE_INLINE void dot(const std::byte* codes, __m256i zero_point, const std::int8_t* const* x, std::size_t at, int part,
                       __m256i* isum) {
  if constexpr (F::kNibbles)
    dot_nibbles<F, kRows>(codes, x, at, part, isum);
  else if constexpr (F::kPlanes == 2)
    dot_plane_bytes<F, kRows>(codes, x, at, part, isum);
  else
    dot_bytes<F, kRows>(codes, zero_point, x, at, part, isum);
}

template <class F>
TROUPE_INLINE __m256 load_scales_8(const std::byte* p) {
  if constexpr (F::kWide) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  return _mm256_cvtph_ps(load_128(p));
}

/// 8 of a panel's 16 outputs: a half fits the sixteen registers.
template <class F, int kRows>
TROUPE_INLINE void quant_half(const LinearJob& job, std::uint32_t panel, std::uint32_t row, int half, __m256* acc) {
  constexpr std::size_t kScaleHalf = F::kScaleStep / 2;
  const std::byte* block = job.panels + panel * job.panel_bytes;
  const auto side = static_cast<std::size_t>(half);
  const __m128i shift = _mm_cvtsi32_si128(job.format.zero_shift);
  const __m256i zero_point = _mm256_set1_epi8(F::kZero ? static_cast<char>(1 << job.format.zero_shift) : 0);
  const std::int8_t* x[kRows];
  const BlockMeta* meta[kRows];
  for (int r = 0; r < kRows; ++r) {
    x[r] = codes_of(job, row + static_cast<std::uint32_t>(r));
    meta[r] = meta_of(job, row + static_cast<std::uint32_t>(r));
    acc[r] = _mm256_setzero_ps();
  }
  const std::uint32_t blocks = job.k / kBlock;
  for (std::uint32_t b = 0; b < blocks; ++b, block += F::kBlockBytes) {
    for (int part = 0; part < F::kParts; ++part) {
      const std::size_t at_row = std::size_t{b} * F::kRowStep;
      __m256i isum[kRows];
      if constexpr (F::kPlanes == 2) {
        for (int r = 0; r < kRows; ++r) isum[r] = _mm256_setzero_si256();
        dot<F, kRows>(block + 32 * side, zero_point, x, at_row, part, isum);
      }
      for (int r = 0; r < kRows; ++r) {
        isum[r] = F::kPlanes == 2 ? _mm256_slli_epi32(isum[r], 8) : _mm256_setzero_si256();
        if constexpr (F::kZero && (F::kNibbles || F::kPlanes == 2))
          isum[r] = _mm256_add_epi32(
              isum[r], _mm256_sll_epi32(
                           _mm256_set1_epi32(F::kHalves ? meta[r][b].minus_half_sums[part] : meta[r][b].minus_sum), shift));
      }
      dot<F, kRows>(block + 32 * side, zero_point, x, at_row + 32 * (F::kPlanes - 1), part, isum);
      const std::byte* at = block + F::kCodeBytes + F::kScaleStep * static_cast<std::size_t>(part) + kScaleHalf * side;
      const __m256 scales = load_scales_8<F>(at);
      for (int r = 0; r < kRows; ++r) {
        const __m256 factor = _mm256_mul_ps(scales, _mm256_set1_ps(meta[r][b].d));
        acc[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[r]), factor, acc[r]);
      }
      if constexpr (F::kMin) {
        const __m256 mins = load_scales_8<F>(at + F::kScaleStep * F::kParts);
        for (int r = 0; r < kRows; ++r)
          acc[r] = _mm256_fmadd_ps(mins, _mm256_set1_ps(F::kHalves ? meta[r][b].half_sums[part] : meta[r][b].sum), acc[r]);
      }
    }
  }
}

template <class F, int kRows>
void quant_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  __m256 low[kRows];
  __m256 high[kRows];
  quant_half<F, kRows>(job, panel, row, 0, low);
  quant_half<F, kRows>(job, panel, row, 1, high);
  for (int r = 0; r < kRows; ++r)
    finish_output(job, panel, row + static_cast<std::uint32_t>(r), F32x16{low[r], high[r]});
}

#include "common/backend/cpu/linear_walk.inl"

}  // namespace avx2
}  // namespace
}  // namespace troupe::backend::cpu

#pragma GCC pop_options

namespace troupe::backend::cpu {

const Kernels& avx2_kernels() {
  static constexpr Kernels kernels = avx2::table(Isa::avx2);
  return kernels;
}

}  // namespace troupe::backend::cpu
