// Kernels over one row of floats.

/// Lane i sums the squares of elements i, i + 16, ...; then the merge tree.
TROUPE_INLINE float square_sum(const float* x, std::uint32_t n) {
  F32x16 acc = zero();
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32x16 v = load(x + i);
    acc = fma(v, v, acc);
  }
  if (i < n) {
    const F32x16 v = load_n(x + i, n - i);
    acc = fma(v, v, acc);
  }
  return tree_sum(acc);
}

/// What a different order would give: `lanes` partial sums, added from first to last. A test shows that it is noticed.
float sum_of_squares(const float* x, std::uint32_t n, std::uint32_t lanes) {
  if (lanes == 16) return square_sum(x, n);
  float total = 0.0F;
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    float part = 0.0F;
    for (std::uint32_t i = lane; i < n; i += lanes) part = __builtin_fmaf(x[i], x[i], part);
    total = total + part;
  }
  return total;
}

void rms_norm(const float* x, const float* weight, std::uint32_t n, float eps, float* out) {
  const float mean = square_sum(x, n) / static_cast<float>(n);
  const F32x16 factor = set1(1.0F / __builtin_sqrtf(mean + eps));
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, mul(mul(load(x + i), factor), load(weight + i)));
  if (i < n) store_n(out + i, mul(mul(load_n(x + i, n - i), factor), load_n(weight + i, n - i)), n - i);
}

/// 16 codes; their sum.
TROUPE_INLINE std::int32_t store_codes(std::int8_t* codes, F32x16 scaled) {
  store_bytes(codes, round_to_int(min(max(scaled, set1(-kMostCode)), set1(kMostCode))));
  return sum_bytes(codes);
}

TROUPE_INLINE void quantize_block(F32x16 first, F32x16 second, std::int8_t* codes, BlockMeta& meta) {
  const float amax = tree_max(max(abs(first), abs(second)));
  const bool tiny = !(amax >= kSmallestBlock);
  meta.d = tiny ? 0.0F : amax / kMostCode;
  const F32x16 inverse = set1(tiny ? 0.0F : kMostCode / amax);
  const std::int32_t sum_a = store_codes(codes, mul(first, inverse));
  const std::int32_t sum_b = store_codes(codes + 16, mul(second, inverse));
  meta.sum = meta.d * static_cast<float>(sum_a + sum_b);
  meta.half_sums[0] = meta.d * static_cast<float>(sum_a);
  meta.half_sums[1] = meta.d * static_cast<float>(sum_b);
  meta.minus_sum = -(sum_a + sum_b);
  meta.minus_half_sums[0] = -sum_a;
  meta.minus_half_sums[1] = -sum_b;
}

TROUPE_INLINE F32x16 load_upto(const float* x, std::uint32_t i, std::uint32_t n) {
  if (i + 16 <= n) return load(x + i);
  return i < n ? load_n(x + i, n - i) : zero();
}

/// The block that comes next by falling d, then rising number.
TROUPE_INLINE std::uint32_t next_largest(const BlockMeta* meta, std::uint32_t blocks, float last_d, std::uint32_t last) {
  std::uint32_t best = blocks;
  for (std::uint32_t b = 0; b < blocks; ++b) {
    const bool open = meta[b].d < last_d || (meta[b].d == last_d && b > last);
    if (open && (best == blocks || meta[b].d > meta[best].d)) best = b;
  }
  return best;
}

/// x - d * codes, rounded once.
TROUPE_INLINE F32x16 rest_of(F32x16 x, float d, const std::int8_t* codes) {
  return fma(set1(-d), to_float(load_bytes(codes)), x);
}

void quantize_row(const float* x, const ActivationLayout& layout, std::byte* record) {
  const std::uint32_t n = layout.cols;
  std::int8_t* codes = reinterpret_cast<std::int8_t*>(record);
  BlockMeta* meta = reinterpret_cast<BlockMeta*>(record + layout.meta_offset());
  const auto blocks = static_cast<std::uint32_t>(layout.blocks());
  for (std::uint32_t b = 0; b < blocks; ++b)
    quantize_block(load_upto(x, 32 * b, n), load_upto(x, 32 * b + 16, n), codes + 32 * b, meta[b]);
  Residual* residual = reinterpret_cast<Residual*>(record + layout.residual_offset());
  std::uint32_t at = 0;
  float last_d = __builtin_inff();
  for (std::size_t i = 0; i < layout.residuals(); ++i, ++residual) {
    at = next_largest(meta, blocks, last_d, at);
    if (at == blocks) at = 0;  // only where a row is not a number: then no result is
    last_d = meta[at].d;
    quantize_block(rest_of(load_upto(x, 32 * at, n), last_d, codes + 32 * at),
                   rest_of(load_upto(x, 32 * at + 16, n), last_d, codes + 32 * at + 16), residual->codes, residual->meta);
    residual->meta.block = at;
  }
}

void add_rows(const float* a, const float* b, std::uint32_t n, float* out) {
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, add(load(a + i), load(b + i)));
  if (i < n) store_n(out + i, add(load_n(a + i, n - i), load_n(b + i, n - i)), n - i);
}

void scale_row(const float* x, std::uint32_t n, float factor, float* out) {
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, mul(load(x + i), set1(factor)));
  if (i < n) store_n(out + i, mul(load_n(x + i, n - i), set1(factor)), n - i);
}

void divide_row(const float* x, float divisor, std::uint32_t n, float* out) {
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, div(load(x + i), set1(divisor)));
  if (i < n) store_n(out + i, div(load_n(x + i, n - i), set1(divisor)), n - i);
}

TROUPE_INLINE F32x16 silu(F32x16 g) { return div(g, add(set1(1.0F), exp(sub(zero(), g)))); }

/// 0.5 g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))).
TROUPE_INLINE F32x16 gelu_tanh(F32x16 g) {
  const F32x16 inner = mul(g, fma(mul(g, g), set1(0.044715F), set1(1.0F)));
  return mul(mul(set1(0.5F), g), add(set1(1.0F), tanh(mul(set1(0.7978845608028654F), inner))));
}

void gated(Activation activation, const float* gate, const float* up, std::uint32_t n, float* out) {
  for (std::uint32_t i = 0; i < n; i += 16) {
    const F32x16 g = load_upto(gate, i, n);
    const F32x16 value = mul(activation == Activation::silu ? silu(g) : gelu_tanh(g), load_upto(up, i, n));
    if (i + 16 <= n)
      store(out + i, value);
    else
      store_n(out + i, value, n - i);
  }
}

TROUPE_INLINE F32x16 capped(F32x16 x, float cap) { return mul(set1(cap), tanh(div(x, set1(cap)))); }

void softcap(float* x, std::uint32_t n, float cap) {
  std::uint32_t i = 0;
  for (; i + 16 <= n; i += 16) store(x + i, capped(load(x + i), cap));
  if (i < n) store_n(x + i, capped(load_n(x + i, n - i), cap), n - i);
}

void exp_row(const float* x, std::uint32_t n, float* out) {
  for (std::uint32_t i = 0; i < n; i += 16) store_n(out + i, exp(load_upto(x, i, n)), n - i < 16 ? n - i : 16);
}
void tanh_row(const float* x, std::uint32_t n, float* out) {
  for (std::uint32_t i = 0; i < n; i += 16) store_n(out + i, tanh(load_upto(x, i, n)), n - i < 16 ? n - i : 16);
}

void rope_half(float* x, const float* cosines, const float* sines, std::uint32_t pairs) {
  for (std::uint32_t i = 0; i < pairs; i += 16) {
    const std::uint32_t count = pairs - i < 16 ? pairs - i : 16;
    const F32x16 a = load_n(x + i, count);
    const F32x16 b = load_n(x + pairs + i, count);
    const F32x16 c = load_n(cosines + i, count);
    const F32x16 s = load_n(sines + i, count);
    store_n(x + i, sub(mul(a, c), mul(b, s)), count);
    store_n(x + pairs + i, add(mul(a, s), mul(b, c)), count);
  }
}

/// cosines: c0 c0 c1 c1 ...; sines: -s0 s0 -s1 s1 ...; so a pair (a, b) becomes (a c - b s, b c + a s).
void rope_adjacent(float* x, const float* cosines, const float* sines, std::uint32_t dims) {
  for (std::uint32_t i = 0; i < dims; i += 16) {
    const std::uint32_t count = dims - i < 16 ? dims - i : 16;
    const F32x16 v = load_n(x + i, count);
    store_n(x + i, add(mul(v, load_n(cosines + i, count)), mul(swap_pairs(v), load_n(sines + i, count))), count);
  }
}

std::uint32_t next_reaching(const float* x, std::uint32_t begin, std::uint32_t n, float floor) {
  std::uint32_t i = begin;
  // max() takes its second operand when either is NaN: here that is never one.
  for (; i + 64 <= n; i += 64) {
    F32x16 largest = max(load(x + i), set1(-__builtin_inff()));
    for (std::uint32_t at = 16; at < 64; at += 16) largest = max(load(x + i + at), largest);
    if (tree_max(largest) >= floor) break;
  }
  while (i < n && !(x[i] >= floor)) ++i;
  return i;
}

void from_half(const std::uint16_t* x, std::size_t n, float* out) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, load_half(x + i));
  for (; i < n; ++i) out[i] = half_to_float(x[i]);
}

void to_half(const float* x, std::size_t n, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) store_half(out + i, load(x + i));
  for (; i < n; ++i) out[i] = float_to_half(x[i]);
}

void from_codes(const std::int8_t* x, std::size_t n, float* out) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, to_float(load_bytes(x + i)));
  for (; i < n; ++i) out[i] = static_cast<float>(x[i]);
}

/// max() and min() take the second operand when either is NaN: what is not a number becomes the lowest code.
std::uint16_t to_codes(const float* x, std::uint32_t n, std::int8_t* codes) {
  F32x16 largest = zero();
  for (std::uint32_t i = 0; i < n; i += 16) largest = max(abs(load_upto(x, i, n)), largest);
  const std::uint16_t half = float_to_half(tree_max(largest) / 127.0F);
  const float scale = half_to_float(half);
  const F32x16 inverse = set1(scale == 0.0F ? 0.0F : 1.0F / scale);
  for (std::uint32_t i = 0; i < n; i += 16) {
    const F32x16 bounded = min(max(mul(load_upto(x, i, n), inverse), set1(-127.0F)), set1(127.0F));
    std::int8_t sixteen[16];
    store_bytes(sixteen, round_to_int(bounded));
    __builtin_memcpy(codes + i, sixteen, n - i < 16 ? n - i : 16);
  }
  return half;
}

void times_halves(float* x, const std::uint16_t* scales, std::uint32_t n) {
  for (std::uint32_t i = 0; i < n; i += 16) store(x + i, mul(load(x + i), load_half(scales + i)));
}
