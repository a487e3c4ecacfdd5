// Products by AMX tiles, for sixteen rows and more. A block's product of 16 rows and 16 outputs is one tile instruction: the rows'
// codes as they lie (16 rows of 32 bytes) times the block's code groups as they lie (8 groups of 64 bytes). Integer sums leave
// by memory and join the float sums exactly as in quant_rows(): the same bits. Panels of nibbles are unpacked once for all rows.

inline constexpr std::uint32_t kTile = 16;                                  ///< rows of a tile
inline constexpr std::size_t kBytesOfBlock = std::size_t{kBlock} * kLanes;  ///< one byte a code
inline constexpr std::size_t kUnpacked = std::size_t{512} << 10;           ///< of a thread: stays in the second cache level
inline constexpr std::uint32_t kOneByOneRows = 64;  ///< up to here panels come from memory one by one, later ones while this one is used

/// A thread's memory for unpacked panels.
inline std::byte* unpacked_panels() {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  thread_local const std::unique_ptr<Line[]> memory(new Line[kUnpacked / sizeof(Line)]);
  return memory[0].bytes;
}

template <class F>
void unpack_panel(const LinearJob& job, std::uint32_t panel, std::byte* to) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  for (std::uint32_t b = 0; b < job.k / kBlock; ++b, to += kBytesOfBlock) {
    __m512i codes[8];
    load_codes<F>(block_at<F>(weights, b), codes);
    for (int g = 0; g < 8; ++g) _mm512_store_si512(to + 64 * g, codes[g]);
  }
}

/// The integer sums of 16 rows and a block's codes, into sums[16][16]. Two sets of tiles take turns (their names are literals).
TROUPE_INLINE void tile_product(bool odd, const std::int8_t* x, std::size_t row_bytes, const std::byte* codes, std::int32_t* sums) {
  if (odd) {
    _tile_zero(0);
    _tile_loadd(2, x, row_bytes);
    _tile_loadd(4, codes, 64);
    _tile_dpbsud(0, 2, 4);
    _tile_stored(0, sums, 64);
  } else {
    _tile_zero(1);
    _tile_loadd(3, x, row_bytes);
    _tile_loadd(5, codes, 64);
    _tile_dpbsud(1, 3, 5);
    _tile_stored(1, sums, 64);
  }
}

/// 16 rows and a panel, block by block.
template <class F>
class TileRows {
 public:
  /// `codes`: the panel's, one byte each, where it holds nibbles. `ahead`: how far behind its blocks memory is asked for, or 0.
  TROUPE_INLINE TileRows(const LinearJob& job, std::uint32_t panel, std::uint32_t row, const std::byte* codes, std::size_t ahead)
      : job_(job), weights_(job.panels + panel * job.panel_bytes), codes_(codes), x_(codes_of(job, row)), meta_(meta_of(job, row)),
        rest_(residuals_of(job, row)), blocks_(job.k / kBlock), ahead_(ahead) {}

  /// The products of step b: a block, or a residual that all 16 rows have.
  TROUPE_INLINE void multiply(std::uint32_t b) {
    if (ahead_ != 0)
      for (std::size_t line = 0; line < F::kBlockBytes; line += 64) _mm_prefetch(weights_ + ahead_ + b * F::kBlockBytes + line, _MM_HINT_T0);
    const std::int8_t* x = b < blocks_ ? x_ + b * kBlock : rest_[b - blocks_].codes;
    const std::byte* codes = F::kNibbles ? codes_ + block_of(b) * kBytesOfBlock : block_at<F>(weights_, block_of(b));
    if constexpr (F::kHalves) {
      tile_product(false, x, job_.row_bytes, codes, sums_[b % 2][0]);
      tile_product(true, x + kBlock / 2, job_.row_bytes, codes + kBytesOfBlock / 2, sums_[b % 2][1]);
    } else {
      tile_product(b % 2 != 0, x, job_.row_bytes, codes, sums_[b % 2][0]);
    }
  }
  /// Adds them to the rows' sums.
  TROUPE_INLINE void add(std::uint32_t b, F32x16* acc) const {
    const std::byte* block = block_at<F>(weights_, block_of(b));
    const std::byte* factors = factors_at<F>(weights_, block_of(b));
    const BlockMeta* meta = b < blocks_ ? meta_ + b : &rest_[b - blocks_].meta;
#pragma GCC unroll 2
    for (int part = 0; part < F::kParts; ++part) {
      const F32x16 scales = load_scales<F>(block, factors, part);
      const F32x16 mins = load_mins<F>(block, factors, part);
#pragma GCC unroll 16
      for (std::uint32_t r = 0; r < kTile; ++r) {
        const BlockMeta& of = *reinterpret_cast<const BlockMeta*>(reinterpret_cast<const std::byte*>(meta) + r * job_.row_bytes);
        __m512i isum = load_512(sums_[b % 2][part] + r * kLanes);
        if constexpr (F::kZero) isum = _mm512_add_epi32(isum, zero_point<F>(of, part));
        acc[r] = add_block<F>(acc[r], I32x16{isum}, scales, mins, of, part);
      }
    }
  }

 private:
  [[nodiscard]] TROUPE_INLINE std::uint32_t block_of(std::uint32_t b) const { return b < blocks_ ? b : rest_[b - blocks_].meta.block; }

  const LinearJob& job_;
  const std::byte* weights_;
  const std::byte* codes_;
  const std::int8_t* x_;
  const BlockMeta* meta_;
  const Residual* rest_;
  std::uint32_t blocks_;
  std::size_t ahead_;
  alignas(64) std::int32_t sums_[2][F::kParts][kTile * kLanes];
};

/// Rows [row, row + 16) of one panel. Tiles multiply a step ahead: their sums take a while to come through memory.
template <class F>
void tile_rows_of(const LinearJob& job, std::uint32_t panel, std::uint32_t row, const std::byte* codes, std::uint32_t common,
                  std::size_t ahead) {
  TileRows<F> rows(job, panel, row, codes, ahead);
  F32x16 acc[kTile];
#pragma GCC unroll 16
  for (std::uint32_t r = 0; r < kTile; ++r) acc[r] = zero();
  const std::uint32_t steps = job.k / kBlock + common;
  rows.multiply(0);
  for (std::uint32_t b = 0; b < steps; ++b) {
    if (b + 1 < steps) rows.multiply(b + 1);
    rows.add(b, acc);
  }
  F32x16 sums[kTile];  // apart from acc, whose address must not be known: it would be kept in memory
#pragma GCC unroll 16
  for (std::uint32_t r = 0; r < kTile; ++r) sums[r] = acc[r];
  finish_rows<F>(job, panel, row, kTile, common, sums);
}

/// Rows of whole tiles by tiles, the rest as without them, a group of panels after the other.
template <class F>
void tile_linear(const LinearJob& job) {
  const std::size_t panel_codes = job.k / kBlock * kBytesOfBlock;
  if (job.row_count < kTile || panel_codes > kUnpacked) return linear(job);
  TileConfig config;
  for (const int slot : {0, 1}) {
    config.set(slot, kTile, 64);
    config.set(2 + slot, kTile, kBlock / F::kParts);
    config.set(4 + slot, kBlock / 4 / F::kParts, 64);
  }
  const bool few = job.row_count <= kOneByOneRows;
  const std::uint32_t group = few && F::kNibbles ? 1 : static_cast<std::uint32_t>(kUnpacked / panel_codes);
  std::byte* unpacked = F::kNibbles ? unpacked_panels() : nullptr;
  LinearJob rest = job;
  const std::uint32_t tiled = job.row_count / kTile * kTile;
  rest.rows += tiled * job.row_bytes;
  rest.out += tiled * job.out_stride;
  rest.row_count -= tiled;
  _tile_loadconfig(&config);
  for (std::uint32_t begin = job.panel_begin; begin < job.panel_end; begin += group) {
    const std::uint32_t end = job.panel_end - begin < group ? job.panel_end : begin + group;
    if constexpr (F::kNibbles)
      for (std::uint32_t panel = begin; panel < end; ++panel) unpack_panel<F>(job, panel, unpacked + (panel - begin) * panel_codes);
    asm volatile("" ::: "memory");  // tile loads do not tell the compiler what they read
    for (std::uint32_t row = 0; row < tiled; row += kTile) {
      const std::uint32_t common = common_residuals(job, row, kTile);
      const std::size_t ahead = row == 0 && (few || !F::kNibbles) ? job.panel_bytes : 0;
      for (std::uint32_t panel = begin; panel < end; ++panel)
        tile_rows_of<F>(job, panel, row, F::kNibbles ? unpacked + (panel - begin) * panel_codes : nullptr, common, ahead);
    }
    rest.panel_begin = begin;
    rest.panel_end = end;
    if (rest.row_count != 0) linear(rest);
  }
  _tile_release();
}

using LinearFunction = void (*)(const LinearJob& job);

template <class... F>
LinearFunction tile_function_among(const QuantFormat& format, Formats<F...> /*all*/) {
  LinearFunction function = nullptr;
  ((F::matches(format) ? void(function = &tile_linear<F>) : void()), ...);
  return function;
}

void linear_amx(const LinearJob& job) {
  if (job.kind != PanelKind::quantized) return linear(job);
  tile_function_among(job.format, QuantFormats{})(job);
}
