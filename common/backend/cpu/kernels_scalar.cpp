// The kernels in plain C++: runs on every x86-64, and says what the vector versions mean.
#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/tensor/half.hpp"

#define TROUPE_INLINE inline __attribute__((always_inline))

namespace troupe::backend::cpu {
namespace {
namespace scalar {

constexpr std::uint32_t kFloatRows = 4;
constexpr std::uint32_t kTileRows = 1;
constexpr std::uint32_t kTileVectors = 1;

#include "common/backend/cpu/vec_scalar.inl"
#include "common/backend/cpu/math.inl"
#include "common/backend/cpu/rows.inl"
#include "common/backend/cpu/tiles.inl"
#include "common/backend/cpu/attention_page.inl"
#include "common/backend/cpu/linear.inl"

/// Adds the products of 16 inputs, from `first` on, to the 16 outputs' sums.
template <class F>
TROUPE_INLINE void dot_half(const std::uint8_t* codes, int half, const std::int8_t* x, I32x16& isum) {
  for (int group = 0; group < 4; ++group) {
    const std::uint8_t* at = codes + 64 * (F::kNibbles ? group : group + 4 * half);
    for (int lane = 0; lane < 16; ++lane)
      for (int i = 0; i < 4; ++i) {
        const int both = at[4 * lane + i];
        const int code = !F::kNibbles ? both : half == 0 ? both & 15 : both >> 4;
        isum.v[lane] += code * x[16 * half + 4 * group + i];
      }
  }
}

template <class F>
TROUPE_INLINE F32x16 add_product(F32x16 acc, const std::byte* block, const std::byte* factors, const std::int8_t* x,
                                 const BlockMeta& meta) {
  const std::uint8_t* codes = reinterpret_cast<const std::uint8_t*>(block);
  for (int part = 0; part < F::kParts; ++part) {
    I32x16 isum;
    const std::int32_t minus = F::kHalves ? meta.minus_half_sums[part] : meta.minus_sum;
    for (int lane = 0; lane < 16; ++lane) isum.v[lane] = F::kZero ? minus * (1 << F::kZeroShift) : 0;
    dot_half<F>(codes, part, x, isum);
    if constexpr (!F::kHalves) dot_half<F>(codes, 1, x, isum);
    acc = add_block<F>(acc, isum, load_scales<F>(block, factors, part), load_mins<F>(block, factors, part), meta, part);
  }
  return acc;
}

template <class F, int kRows>
void quant_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  static_assert(kRows == 1);
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  const std::int8_t* x = codes_of(job, row);
  const BlockMeta* meta = meta_of(job, row);
  F32x16 acc = zero();
  for (std::uint32_t b = 0; b < job.k / kBlock; ++b)
    acc = add_product<F>(acc, block_at<F>(weights, b), factors_at<F>(weights, b), x + b * kBlock, meta[b]);
  const Residual* rest = residuals_of(job, row);
  for (std::uint32_t i = 0; i < job.residuals; ++i)
    acc = add_product<F>(acc, block_at<F>(weights, rest[i].meta.block), factors_at<F>(weights, rest[i].meta.block),
                         rest[i].codes, rest[i].meta);
  finish_output(job, panel, row, acc);
}

template <class F>
constexpr std::uint32_t most_rows() {
  return 1;
}

#include "common/backend/cpu/linear_walk.inl"

}  // namespace scalar
}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels kernels = scalar::table(Isa::scalar);
  return kernels;
}

const Kernels& kernels_for(Isa isa) {
  switch (isa) {
    case Isa::amx: return amx_kernels();
    case Isa::avx512: return avx512_kernels();
    case Isa::avx_vnni: return avx_vnni_kernels();
    case Isa::avx2: return avx2_kernels();
    default: return scalar_kernels();
  }
}

}  // namespace troupe::backend::cpu
