// The walk over a matrix: a group of panels that fits the second cache level, blocks of rows, panels. Order of work only;
// each output's own sum is inside quant_rows() or float_rows().

/// A packed format known to the compiler.
template <bool kNibblesV, bool kHalvesV, bool kMinV, bool kFactoredV, int kZeroShiftV>
struct Format {
  static constexpr bool kNibbles = kNibblesV;
  static constexpr bool kHalves = kHalvesV;
  static constexpr bool kMin = kMinV;
  static constexpr bool kFactored = kFactoredV;
  static constexpr int kZeroShift = kZeroShiftV;
  static constexpr bool kZero = kZeroShiftV != 0;
  static constexpr int kParts = kHalves ? 2 : 1;  ///< scales per block
  static constexpr std::size_t kCodeBytes = kNibbles ? 256 : 512;
  static constexpr std::size_t kScaleStep = kFactored ? 16 : 32;
  static constexpr std::size_t kMinOffset = kCodeBytes + kScaleStep * kParts;
  static constexpr std::size_t kBlockBytes = kMinOffset + (kMin ? kScaleStep * kParts : 0);
  static constexpr std::size_t kFactorBytes = kFactored ? (kMin ? 64 : 32) : 0;
  static constexpr bool matches(const QuantFormat& f) {
    return f.nibbles == kNibbles && f.halves == kHalves && f.has_min == kMin && f.factored == kFactored &&
           f.zero_shift == kZeroShift;
  }
};

/// Block b of the panel at `weights`, and the common factors of its eight.
template <class F>
TROUPE_INLINE const std::byte* factors_at(const std::byte* weights, std::uint32_t b) {
  return weights + b / 8 * (8 * F::kBlockBytes + F::kFactorBytes);
}
template <class F>
TROUPE_INLINE const std::byte* block_at(const std::byte* weights, std::uint32_t b) {
  return weights + b * F::kBlockBytes + (b / 8 + 1) * F::kFactorBytes;
}

/// 16 scales of a block's part, or its mins.
template <class F, bool kMins = false>
TROUPE_INLINE F32x16 load_scales(const std::byte* block, const std::byte* factors, int part) {
  const std::byte* at = block + (kMins ? F::kMinOffset : F::kCodeBytes) + F::kScaleStep * static_cast<std::size_t>(part);
  if constexpr (!F::kFactored) return load_half(reinterpret_cast<const std::uint16_t*>(at));
  return mul(load_half(reinterpret_cast<const std::uint16_t*>(factors + (kMins ? 32 : 0))),
             to_float(load_bytes(reinterpret_cast<const std::int8_t*>(at))));
}
template <class F>
TROUPE_INLINE F32x16 load_mins(const std::byte* block, const std::byte* factors, int part) {
  if constexpr (!F::kMin) return zero();
  return load_scales<F, true>(block, factors, part);
}

/// Rows that go together over a group of panels: as many as leave room for a panel in the first cache level.
TROUPE_INLINE std::uint32_t rows_at_once(const LinearJob& job) {
  constexpr std::size_t kRoom = std::size_t{24} << 10;
  return 16 * (job.k + job.k / kBlock * sizeof(BlockMeta)) <= kRoom || job.kind != PanelKind::quantized ? 16 : 8;
}

TROUPE_INLINE const BlockMeta* meta_of(const LinearJob& job, std::uint32_t row) {
  return reinterpret_cast<const BlockMeta*>(job.rows + row * job.row_bytes + job.meta_offset);
}
TROUPE_INLINE const std::int8_t* codes_of(const LinearJob& job, std::uint32_t row) {
  return reinterpret_cast<const std::int8_t*>(job.rows + row * job.row_bytes);
}

TROUPE_INLINE const Residual* residuals_of(const LinearJob& job, std::uint32_t row) {
  return reinterpret_cast<const Residual*>(job.rows + row * job.row_bytes + job.residual_offset);
}

/// How many first residuals are of the same blocks in rows [row, row + count): those are multiplied like blocks.
TROUPE_INLINE std::uint32_t common_residuals(const LinearJob& job, std::uint32_t row, std::uint32_t count) {
  for (std::uint32_t i = 0; i < job.residuals; ++i) {
    const std::uint32_t block = residuals_of(job, row)[i].meta.block;
    for (std::uint32_t r = row + 1; r < row + count; ++r)
      if (residuals_of(job, r)[i].meta.block != block) return i;
  }
  return job.residuals;
}

/// One block's contribution to an output: product with the scales rounded once, then fused; the min right after.
template <class F>
TROUPE_INLINE F32x16 add_block(F32x16 acc, I32x16 isum, F32x16 scales, F32x16 mins, const BlockMeta& x, int part) {
  acc = fma(to_float(isum), mul(scales, set1(x.d)), acc);
  if constexpr (F::kMin) acc = fma(mins, set1(F::kHalves ? x.half_sums[part] : x.sum), acc);
  return acc;
}
