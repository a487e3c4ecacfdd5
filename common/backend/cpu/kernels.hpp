#pragma once
// The table of kernels of one instruction set. The bodies are written once over a vector of 16 floats (F32x16) and compiled
// for each width; only the integer products are written per instruction set. All give the same bits.
#include <cstddef>
#include <cstdint>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/packed_weight.hpp"

namespace troupe::backend::cpu {

/// out[r, n] for a range of panels of one matrix and all rows of a call.
struct LinearJob {
  const std::byte* panels = nullptr;
  std::size_t panel_bytes = 0;
  PanelKind kind = PanelKind::quantized;
  QuantFormat format;
  std::uint32_t n = 0;
  std::uint32_t k = 0;
  std::uint32_t panel_begin = 0;
  std::uint32_t panel_end = 0;
  const std::byte* rows = nullptr;  ///< codes, or floats
  std::size_t row_bytes = 0;
  std::size_t meta_offset = 0;
  std::size_t residual_offset = 0;
  std::uint32_t residuals = 0;  ///< of each row
  std::uint32_t row_count = 0;
  const float* bias = nullptr;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

/// c[i, 0..cols) (+)= sum over k in [k_begin, k_end) of a[i][k] * b[k, 0..cols), fused, in ascending k.
struct TileJob {
  const float* const* a = nullptr;
  std::uint32_t rows = 0;
  const void* b = nullptr;
  bool half = false;  ///< b holds halves, else floats
  std::size_t b_stride = 0;
  std::uint32_t k_begin = 0;
  std::uint32_t k_end = 0;
  float* c = nullptr;
  std::size_t c_stride = 0;
  std::uint32_t cols = 0;  ///< a multiple of 16
  bool accumulate = false;
  const void* next = nullptr;  ///< what to ask memory for meanwhile: as many rows of b's stride, or null
};

/// Scores of one query with 64 keys, turned into weights in place.
struct SoftmaxJob {
  float* scores = nullptr;   ///< [64]
  std::uint32_t begin = 0;   ///< visible keys [begin, end)
  std::uint32_t end = 0;
  float scale = 1.0F;
  float softcap = 0.0F;
};
struct SoftmaxPart {
  float max = 0.0F;
  float sum = 0.0F;
};

/// Queries that see all 64 keys of a page, merged into what they have.
struct PageJob {
  const float* const* q = nullptr;  ///< [queries] of [key_dim]
  std::uint32_t queries = 0;
  const void* keys = nullptr;    ///< [key_dim, 64]
  const void* values = nullptr;  ///< [64, value_cols]
  bool half = false;             ///< both hold halves, else floats
  const std::uint16_t* key_scales = nullptr;    ///< [64] where both hold codes, else null
  const std::uint16_t* value_scales = nullptr;  ///< the same
  const void* after_keys = nullptr;    ///< read next, to be asked for while keys are read: as large as keys; null: none
  const void* after_values = nullptr;  ///< the same of values; null exactly when after_keys is
  std::uint32_t key_dim = 0;
  std::uint32_t value_cols = 0;  ///< a multiple of 16
  float scale = 1.0F;
  float softcap = 0.0F;
  SoftmaxPart* sums = nullptr;            ///< [queries]
  float* const* out = nullptr;            ///< [queries] of [value_cols]
  const std::uint8_t* started = nullptr;  ///< [queries] 0: sums and out hold nothing yet
  std::uint32_t begin = 0;                ///< of the slots that all queries see; the others may hold anything
  std::uint32_t end = 64;
};

struct Kernels {
  Isa isa;
  std::uint32_t direct_rows;  ///< tiles of at most so many rows read halves as fast as converted floats
  void (*linear)(const LinearJob& job);
  void (*rms_norm)(const float* x, const float* weight, std::uint32_t n, float eps, float* out);
  void (*quantize)(const float* x, const ActivationLayout& layout, std::byte* record);  ///< all but the float row
  void (*add)(const float* a, const float* b, std::uint32_t n, float* out);
  void (*scale)(const float* x, std::uint32_t n, float factor, float* out);
  void (*gated)(Activation activation, const float* gate, const float* up, std::uint32_t n, float* out);
  void (*softcap)(float* x, std::uint32_t n, float cap);
  void (*rope_half)(float* x, const float* cosines, const float* sines, std::uint32_t pairs);
  /// cosines [dims]: each twice; sines [dims]: each negated, then as it is.
  void (*rope_adjacent)(float* x, const float* cosines, const float* sines, std::uint32_t dims);
  void (*from_half)(const std::uint16_t* x, std::size_t n, float* out);
  void (*to_half)(const float* x, std::size_t n, std::uint16_t* out);
  void (*from_codes)(const std::int8_t* x, std::size_t n, float* out);
  /// codes = x / scale, rounded to even, of n values; returns the scale as a half (backend.hpp, KvLayout).
  std::uint16_t (*to_codes)(const float* x, std::uint32_t n, std::int8_t* codes);
  /// x[i] *= scales[i], n a multiple of 16.
  void (*times_halves)(float* x, const std::uint16_t* scales, std::uint32_t n);
  void (*tile)(const TileJob& job);
  SoftmaxPart (*softmax)(const SoftmaxJob& job);
  /// a = merge(a, b): both outputs against the larger maximum.
  void (*merge)(SoftmaxPart& a, float* a_out, const SoftmaxPart& b, const float* b_out, std::uint32_t n);
  void (*attend)(const PageJob& job);
  /// The first i in [begin, n) with x[i] >= floor, else n.
  std::uint32_t (*next_reaching)(const float* x, std::uint32_t begin, std::uint32_t n, float floor);
  void (*divide)(const float* x, float divisor, std::uint32_t n, float* out);
  // For tests: the bare functions, and a sum over `lanes` logical lanes (16 is the one that is used).
  void (*exp)(const float* x, std::uint32_t n, float* out);
  void (*tanh)(const float* x, std::uint32_t n, float* out);
  float (*sum_of_squares)(const float* x, std::uint32_t n, std::uint32_t lanes);
};

[[nodiscard]] const Kernels& scalar_kernels();
[[nodiscard]] const Kernels& avx2_kernels();    ///< call only where supports(Isa::avx2)
[[nodiscard]] const Kernels& avx_vnni_kernels();  ///< call only where supports(Isa::avx_vnni)
[[nodiscard]] const Kernels& avx512_kernels();  ///< call only where supports(Isa::avx512)
[[nodiscard]] const Kernels& amx_kernels();     ///< call only where supports(Isa::amx)
[[nodiscard]] const Kernels& kernels_for(Isa isa);

}  // namespace troupe::backend::cpu
