// Float products: the attention tile and matrices held as floats. One lane per output, one fused step per k, ascending.

TROUPE_INLINE F32x16 load_any(const float* p) { return load(p); }
TROUPE_INLINE F32x16 load_any(const std::uint16_t* p) { return load_half(p); }
TROUPE_INLINE F32x16 load_any(const std::int8_t* p) { return to_float(load_bytes(p)); }

template <class T, int kRows, int kVectors>
TROUPE_INLINE void tile_step(const TileJob& job, std::uint32_t row, std::uint32_t col) {
  F32x16 acc[kRows][kVectors];
  const float* a[kRows];
  float* c[kRows];
  for (int r = 0; r < kRows; ++r) {
    a[r] = job.a[row + static_cast<std::uint32_t>(r)];
    c[r] = job.c + (row + static_cast<std::uint32_t>(r)) * job.c_stride + col;
    for (int v = 0; v < kVectors; ++v) acc[r][v] = job.accumulate ? load(c[r] + 16 * v) : zero();
  }
  const T* b = static_cast<const T*>(job.b) + job.k_begin * job.b_stride + col;
  const T* next = row == 0 && job.next != nullptr ? static_cast<const T*>(job.next) + col : b;
  for (std::uint32_t k = job.k_begin; k < job.k_end; ++k, b += job.b_stride, next += job.b_stride) {
    for (std::size_t at = 0; at < 16 * kVectors * sizeof(T); at += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(next) + at);
    F32x16 values[kVectors];
    for (int v = 0; v < kVectors; ++v) values[v] = load_any(b + 16 * v);
    for (int r = 0; r < kRows; ++r) {
      const F32x16 factor = set1(a[r][k]);
      for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(factor, values[v], acc[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(c[r] + 16 * v, acc[r][v]);
}

template <class T, int kRows>
void tile_rows(const TileJob& job, std::uint32_t row) {
  std::uint32_t col = 0;
  for (; col + 16 * kTileVectors <= job.cols; col += 16 * kTileVectors) tile_step<T, kRows, kTileVectors>(job, row, col);
  for (; col < job.cols; col += 16) tile_step<T, kRows, 1>(job, row, col);
}

template <class T>
void tile_of(const TileJob& job) {
  std::uint32_t row = 0;
  for (; row + kTileRows <= job.rows; row += kTileRows) tile_rows<T, kTileRows>(job, row);
  switch (job.rows - row) {
    case 1: return tile_rows<T, 1>(job, row);
    case 2: return tile_rows<T, kTileRows < 2 ? 1 : 2>(job, row);
    case 3: return tile_rows<T, kTileRows < 3 ? 1 : 3>(job, row);
    case 4: return tile_rows<T, kTileRows < 4 ? 1 : 4>(job, row);
    case 5: return tile_rows<T, kTileRows < 5 ? 1 : 5>(job, row);
    default: return;
  }
}

void tile(const TileJob& job) { job.half ? tile_of<std::uint16_t>(job) : tile_of<float>(job); }

SoftmaxPart softmax(const SoftmaxJob& job) {
  const int begin = static_cast<int>(job.begin);
  const int end = static_cast<int>(job.end);
  const F32x16 hidden = set1(-__builtin_inff());
  F32x16 s[4];
  for (int i = 0; i < 4; ++i) {
    s[i] = mul(set1(job.scale), load(job.scores + 16 * i));
    if (job.softcap != 0.0F) s[i] = capped(s[i], job.softcap);
    s[i] = keep(s[i], begin - 16 * i, end - 16 * i, hidden);
  }
  const float largest = tree_max(max(max(s[0], s[1]), max(s[2], s[3])));
  for (int i = 0; i < 4; ++i) {
    s[i] = keep(exp(sub(s[i], set1(largest))), begin - 16 * i, end - 16 * i, zero());
    store(job.scores + 16 * i, s[i]);
  }
  return {largest, tree_sum(add(add(add(s[0], s[1]), s[2]), s[3]))};
}

void merge(SoftmaxPart& a, float* a_out, const SoftmaxPart& b, const float* b_out, std::uint32_t n) {
  const float largest = a.max > b.max ? a.max : b.max;
  const F32x16 down = keep(set1(a.max - largest), 0, 8, set1(b.max - largest));
  float factors[16];
  store(factors, exp(down));
  const F32x16 a_factor = set1(factors[0]);
  const F32x16 b_factor = set1(factors[15]);
  a.max = largest;
  a.sum = __builtin_fmaf(a.sum, factors[0], b.sum * factors[15]);
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(a_out + i, fma(load(a_out + i), a_factor, mul(load(b_out + i), b_factor)));
  if (i < n) store_n(a_out + i, fma(load_n(a_out + i, n - i), a_factor, mul(load_n(b_out + i, n - i), b_factor)), n - i);
}

template <PanelKind kKind>
TROUPE_INLINE F32x16 load_weights(const std::byte* p) {
  if constexpr (kKind == PanelKind::f32) return load(reinterpret_cast<const float*>(p));
  if constexpr (kKind == PanelKind::f16) return load_half(reinterpret_cast<const std::uint16_t*>(p));
  return load_bf16(reinterpret_cast<const std::uint16_t*>(p));
}

TROUPE_INLINE void finish_output(const LinearJob& job, std::uint32_t panel, std::uint32_t row, F32x16 acc) {
  const std::uint32_t first = panel * kLanes;
  const std::uint32_t count = job.n - first < kLanes ? job.n - first : kLanes;
  if (job.bias != nullptr) acc = add(acc, load_n(job.bias + first, count));
  float* out = job.out + row * job.out_stride + first;
  if (count == kLanes)
    store(out, acc);
  else
    store_n(out, acc, count);
}

template <PanelKind kKind, int kRows>
void float_rows(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  const std::byte* weights = job.panels + panel * job.panel_bytes;
  const float* x[kRows];
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) {
    x[r] = reinterpret_cast<const float*>(job.rows + (row + static_cast<std::uint32_t>(r)) * job.row_bytes);
    acc[r] = zero();
  }
  for (std::uint32_t k = 0; k < job.k; ++k, weights += kLanes * (kKind == PanelKind::f32 ? 4 : 2)) {
    const F32x16 w = load_weights<kKind>(weights);
    for (int r = 0; r < kRows; ++r) acc[r] = fma(set1(x[r][k]), w, acc[r]);
  }
  for (int r = 0; r < kRows; ++r) finish_output(job, panel, row + static_cast<std::uint32_t>(r), acc[r]);
}

template <PanelKind kKind>
void float_block(const LinearJob& job, std::uint32_t panel, std::uint32_t row, std::uint32_t count) {
  while (count > 0) {
    const std::uint32_t step = count >= kFloatRows ? kFloatRows : count >= 4 ? 4 : 1;
    if (step == kFloatRows)
      float_rows<kKind, kFloatRows>(job, panel, row);
    else if (step == 4)
      float_rows<kKind, 4>(job, panel, row);
    else
      float_rows<kKind, 1>(job, panel, row);
    row += step;
    count -= step;
  }
}
