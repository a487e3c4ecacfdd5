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

constexpr std::uint32_t kFloatRows = 6;
constexpr std::uint32_t kTileRows = 3;
constexpr std::uint32_t kTileVectors = 2;

#include "common/backend/cpu/vec_avx2.inl"
#include "common/backend/cpu/math.inl"
#include "common/backend/cpu/rows.inl"
#include "common/backend/cpu/tiles.inl"
#include "common/backend/cpu/attention_page.inl"
#include "common/backend/cpu/linear.inl"

#include "common/backend/cpu/sides.inl"
#include "common/backend/cpu/dot_avx2.inl"
#include "common/backend/cpu/quant_sides.inl"
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
