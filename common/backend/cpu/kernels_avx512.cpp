// The kernels for AVX-512 with VNNI (Ice Lake, Zen 4 and later): one vpdpbusd takes four inputs of 16 outputs. With AMX
// (Sapphire Rapids and later) tiles multiply where there are rows enough.
#include <immintrin.h>

#include <memory>

#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/backend/cpu/tile_config.hpp"
#include "common/tensor/half.hpp"

#define TROUPE_INLINE inline __attribute__((always_inline))

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")

namespace troupe::backend::cpu {
namespace {
namespace avx512 {

constexpr std::uint32_t kFloatRows = 16;
constexpr std::uint32_t kTileRows = 6;
constexpr std::uint32_t kTileVectors = 4;

#include "common/backend/cpu/vec_avx512.inl"
#include "common/backend/cpu/math.inl"
#include "common/backend/cpu/rows.inl"
#include "common/backend/cpu/tiles.inl"
#include "common/backend/cpu/attention_page.inl"
#include "common/backend/cpu/linear.inl"

TROUPE_INLINE __m512i load_512(const void* p) { return _mm512_loadu_si512(p); }
/// Four inputs, repeated for each of 16 outputs.
TROUPE_INLINE __m512i four_inputs(const std::int8_t* x) {
  std::int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm512_set1_epi32(word);
}

/// The 8 code groups of a block, one byte a code.
template <class F>
TROUPE_INLINE void load_codes(const std::byte* block, __m512i* groups) {
  const __m512i low_bits = _mm512_set1_epi8(15);
  for (int g = 0; g < (F::kNibbles ? 4 : 8); ++g) {
    const __m512i bytes = load_512(block + 64 * g);
    if constexpr (F::kNibbles) {
      groups[g] = _mm512_and_si512(bytes, low_bits);
      groups[g + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low_bits);
    } else {
      groups[g] = bytes;
    }
  }
}

/// Where the sum of a part starts: minus the zero point times the inputs.
template <class F>
TROUPE_INLINE __m512i zero_point(const BlockMeta& x, int part) {
  if constexpr (!F::kZero) return _mm512_setzero_si512();
  return _mm512_slli_epi32(_mm512_set1_epi32(F::kHalves ? x.minus_half_sums[part] : x.minus_sum), F::kZeroShift);
}

/// Two scales a block leave registers for eight rows.
template <class F>
constexpr std::uint32_t most_rows() {
  return F::kHalves ? 8 : 16;
}

/// The product of a row's residual, added to the row's sum.
template <class F>
TROUPE_INLINE F32x16 add_residual(const std::byte* weights, const Residual& rest, F32x16 acc) {
  constexpr int kGroups = 8 / F::kParts;
  const std::byte* block = block_at<F>(weights, rest.meta.block);
  const std::byte* factors = factors_at<F>(weights, rest.meta.block);
  __m512i codes[8];
  load_codes<F>(block, codes);
#pragma GCC unroll 2
  for (int part = 0; part < F::kParts; ++part) {
    __m512i isum[2] = {zero_point<F>(rest.meta, part), _mm512_setzero_si512()};
#pragma GCC unroll 8
    for (int g = part * kGroups; g < (part + 1) * kGroups; ++g)
      isum[g % 2] = _mm512_dpbusd_epi32(isum[g % 2], codes[g], four_inputs(rest.codes + 4 * g));
    acc = add_block<F>(acc, I32x16{_mm512_add_epi32(isum[0], isum[1])}, load_scales<F>(block, factors, part),
                       load_mins<F>(block, factors, part), rest.meta, part);
  }
  return acc;
}

/// Adds the residuals from `first` on to the sums of `count` rows and writes them. Not inlined: sixteen copies a format would only
/// fill the instruction cache. Rows go side by side, as far as the processor looks ahead.
template <class F>
__attribute__((noinline)) void finish_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row, int count,
                                           std::uint32_t first, const F32x16* sums) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  for (int r = 0; r < count; ++r) {
    const std::uint32_t at = row + static_cast<std::uint32_t>(r);
    const Residual* rest = residuals_of(job, at);
    F32x16 acc = sums[r];
    for (std::uint32_t i = first; i < job.residuals; ++i) acc = add_residual<F>(weights, rest[i], acc);
    finish_output(job, panel, at, acc);
  }
}

template <class F, int kRows>
void quant_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  constexpr int kGroups = 8 / F::kParts;
  constexpr int kTogether = 4;  // rows whose sums advance side by side: one sum alone waits for each of its products
  constexpr std::size_t kAhead = 6144;  // bytes; a matrix is one stream, and most calls read it in one pass
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  const std::int8_t* x = codes_of(job, row);
  const BlockMeta* meta = meta_of(job, row);
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = zero();
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
    for (std::size_t line = 0; line < F::kBlockBytes; line += 64) _mm_prefetch(block + kAhead + line, _MM_HINT_T0);
    const std::ptrdiff_t to_meta = reinterpret_cast<const std::int8_t*>(meta) - x;
    __m512i codes[8];
    load_codes<F>(block, codes);
    for (int part = 0; part < F::kParts; ++part) {
      const F32x16 scales = load_scales<F>(block, factors, part);
      const F32x16 mins = load_mins<F>(block, factors, part);
      const std::int8_t* next = x;
#pragma GCC unroll 16
      for (int first = 0; first < kRows; first += kTogether) {
        const int count = kRows - first < kTogether ? kRows - first : kTogether;
        __m512i isum[kTogether];
        const std::int8_t* inputs[kTogether];
        const BlockMeta* of[kTogether];
#pragma GCC unroll 16
        for (int r = 0; r < count; ++r) {
          // Known to be multiples of a stride, the addresses of all rows and groups would be kept, on the stack: two loads each.
          asm("" : "+r"(next));
          inputs[r] = next;
          of[r] = reinterpret_cast<const BlockMeta*>(next + to_meta);
          next += job.row_bytes;
          isum[r] = zero_point<F>(*of[r], part);
        }
#pragma GCC unroll 8
        for (int g = part * kGroups; g < (part + 1) * kGroups; ++g)
#pragma GCC unroll 16
          for (int r = 0; r < count; ++r) isum[r] = _mm512_dpbusd_epi32(isum[r], codes[g], four_inputs(inputs[r] + 4 * g));
#pragma GCC unroll 16
        for (int r = 0; r < count; ++r)
          acc[first + r] = add_block<F>(acc[first + r], I32x16{isum[r]}, scales, mins, *of[r], part);
      }
    }
  }
  F32x16 sums[kRows];  // apart from acc, whose address must not be known: it would be kept in memory
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums[r] = acc[r];
  finish_rows<F>(job, panel, row, kRows, common, sums);
}

#include "common/backend/cpu/linear_walk.inl"

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-int8")
#include "common/backend/cpu/linear_amx.inl"
#pragma GCC pop_options

constexpr Kernels tile_table() {
  Kernels kernels = table(Isa::amx);
  kernels.linear = linear_amx;
  return kernels;
}

}  // namespace avx512
}  // namespace
}  // namespace troupe::backend::cpu

#pragma GCC pop_options

namespace troupe::backend::cpu {

const Kernels& avx512_kernels() {
  static constexpr Kernels kernels = avx512::table(Isa::avx512);
  return kernels;
}

const Kernels& amx_kernels() {
  static constexpr Kernels kernels = avx512::tile_table();
  return kernels;
}

}  // namespace troupe::backend::cpu
