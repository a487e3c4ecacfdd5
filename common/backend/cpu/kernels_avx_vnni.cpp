// The kernels for AVX-VNNI (Alder Lake and later without AVX-512): those of AVX2 with products of four inputs.
#include <immintrin.h>

#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/tensor/half.hpp"

#define TROUPE_INLINE inline __attribute__((always_inline))

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")

namespace troupe::backend::cpu {
namespace {
namespace avx_vnni {

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
#include "common/backend/cpu/dot_avx_vnni.inl"
#include "common/backend/cpu/quant_sides.inl"
#include "common/backend/cpu/linear_walk.inl"

}  // namespace avx_vnni
}  // namespace
}  // namespace troupe::backend::cpu

#pragma GCC pop_options

namespace troupe::backend::cpu {

const Kernels& avx_vnni_kernels() {
  static constexpr Kernels kernels = avx_vnni::table(Isa::avx_vnni);
  return kernels;
}

}  // namespace troupe::backend::cpu
