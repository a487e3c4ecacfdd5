// One page of keys and values, or a part of it, against many queries, start to end in registers and first-level cache: scores, weights,
// weighted values, merge. Every sum is the one of tile(), softmax() and merge() (README, "Same bits").

// Queries at a time and vectors of 16 columns, as many sums as there are registers for: many queries, few, one.
constexpr int kPageRows = kRegisterVectors == 1 ? 2 : 6;
constexpr int kPageVectors = kRegisterVectors == 32 ? 4 : 1;
constexpr int kFewRows = kPageRows / 2;
constexpr int kFewVectors = kRegisterVectors == 1 ? 1 : kRegisterVectors == 8 ? 2 : 4;
constexpr int kOneVectors = kRegisterVectors == 1 ? 1 : 4;

/// exp of x <= 0, the bits of exp(): 2^n is then a single normal factor, so the product is rounded once either way.
TROUPE_INLINE F32x16 exp_below_one(F32x16 x) {
  const F32x16 bounded = min(max(x, set1(-87.0F)), zero());
  const I32x16 n = round_to_int(mul(bounded, set1(0x1.715476p+0F)));
  const F32x16 minus_n = sub(zero(), to_float(n));
  F32x16 r = fma(minus_n, set1(0x1.62e4p-1F), bounded);
  r = fma(minus_n, set1(0x1.7f7d1cp-20F), r);
  return select_less(x, set1(-87.0F), zero(), mul(exp_series(r), power_of_two(n)));
}

// Loops over registers: unrolled before arrays are looked at, so that these never exist in memory.
#define TROUPE_UNROLL _Pragma("GCC unroll 16")

/// acc[r] = sum over k of a[r][k] * b[k, 0..16 * kVectors), fused, in ascending k. With kAhead, memory is asked for what
/// stands at the same place of the tile at `ahead`, which is read next: a line or two a step keeps the stream even.
template <bool kAhead, class T, int kRows, int kVectors>
TROUPE_INLINE void page_product(const float* const* a, const T* b, std::size_t b_stride, std::uint32_t depth, const T* ahead,
                                F32x16 (&acc)[kRows][kVectors]) {
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r)
    TROUPE_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = zero();
  for (std::uint32_t k = 0; k < depth; ++k, b += b_stride) {
    if constexpr (kAhead) {
      constexpr int kLine = 64 / sizeof(T);
      TROUPE_UNROLL for (int at = 0; at < 16 * kVectors; at += kLine) __builtin_prefetch(ahead + at, 0, 2);
      ahead += b_stride;
    }
    F32x16 values[kVectors];
    TROUPE_UNROLL for (int v = 0; v < kVectors; ++v) values[v] = load_any(b + 16 * v);
    TROUPE_UNROLL for (int r = 0; r < kRows; ++r) {
      const F32x16 factor = set1(a[r][k]);
      TROUPE_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(factor, values[v], acc[r][v]);
    }
  }
}

/// Pages of codes: each key's score, and each weight, is multiplied by the scale of its slot.
template <class T>
constexpr bool kCodes = sizeof(T) == 1;

template <int kRows>
TROUPE_INLINE void page_value_scales(const PageJob& job, float* weights) {
  TROUPE_UNROLL for (int i = 0; i < 64; i += 16) {
    const F32x16 scales = load_half(job.value_scales + i);
    TROUPE_UNROLL for (int r = 0; r < kRows; ++r) store(weights + 64 * r + i, mul(load(weights + 64 * r + i), scales));
  }
}

/// Scaled scores of kRows queries with 16 * kVectors keys from `col` on; `largest` takes them up.
template <bool kWhole, bool kAhead, class T, int kVectors, int kRows>
TROUPE_INLINE void page_scores_at(const PageJob& job, const float* const (&q)[kRows], int col, float* scores, F32x16 (&largest)[kRows]) {
  const F32x16 scale = set1(job.scale);
  F32x16 acc[kRows][kVectors];
  page_product<kAhead>(q, static_cast<const T*>(job.keys) + col, 64, job.key_dim, static_cast<const T*>(job.after_keys) + col, acc);
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r)
    TROUPE_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int at = col + 16 * v;
      if constexpr (kCodes<T>) acc[r][v] = mul(acc[r][v], load_half(job.key_scales + at));
      F32x16 scaled = mul(scale, acc[r][v]);
      if constexpr (!kWhole)
        scaled = keep(scaled, static_cast<int>(job.begin) - at, static_cast<int>(job.end) - at, set1(-__builtin_inff()));
      store(scores + 64 * r + at, scaled);
      largest[r] = max(largest[r], scaled);
    }
}

/// Of kRows queries with 64 keys, and 16 maxima of each. A key that is not seen has the score -inf.
template <bool kWhole, bool kAhead, class T, int kRows, int kVectors>
TROUPE_INLINE void page_scores(const PageJob& job, std::uint32_t query, float* scores, F32x16 (&largest)[kRows]) {
  const float* q[kRows];
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r) q[r] = job.q[query + static_cast<std::uint32_t>(r)];
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r) largest[r] = set1(-__builtin_inff());
  if constexpr (kWhole) {
    for (int col = 0; col < 64; col += 16 * kVectors) page_scores_at<true, kAhead, T, kVectors>(job, q, col, scores, largest);
    return;
  }
  const F32x16 hidden = set1(-__builtin_inff());
  const int last = (static_cast<int>(job.end) + 15) / 16 * 16;
  int col = static_cast<int>(job.begin) / 16 * 16;
  for (int i = 0; i < 64; i += 16)
    for (int r = 0; (i < col || i >= last) && r < kRows; ++r) store(scores + 64 * r + i, hidden);
  for (; col + 16 * kVectors <= last; col += 16 * kVectors) page_scores_at<false, kAhead, T, kVectors>(job, q, col, scores, largest);
  for (; col < last; col += 16) page_scores_at<false, kAhead, T, 1>(job, q, col, scores, largest);
}

/// Apart from the rest: inlined, the compiler would compute both sides of the question whether there is a cap.
template <int kRows>
__attribute__((noinline)) void page_cap(const PageJob& job, float* scores, F32x16* largest) {
  const F32x16 hidden = set1(-__builtin_inff());
  for (int r = 0; r < kRows; ++r, scores += 64) {
    largest[r] = hidden;
    for (int i = 0; i < 64; i += 16) {
      const F32x16 all = capped(load(scores + i), job.softcap);
      const F32x16 score = keep(all, static_cast<int>(job.begin) - i, static_cast<int>(job.end) - i, hidden);
      store(scores + i, score);
      largest[r] = max(largest[r], score);
    }
  }
}

/// Scores become weights.
template <int kRows>
TROUPE_INLINE void page_softmax(float* scores, const F32x16* largest, SoftmaxPart* parts) {
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r) parts[r].max = tree_max(largest[r]);
  for (int r = 0; r < kRows; ++r) {
    const F32x16 top = set1(parts[r].max);
    F32x16 s[4];
    TROUPE_UNROLL for (int i = 0; i < 4; ++i) {
      s[i] = exp_below_one(sub(load(scores + 64 * r + 16 * i), top));
      store(scores + 64 * r + 16 * i, s[i]);
    }
    parts[r].sum = tree_sum(add(add(add(s[0], s[1]), s[2]), s[3]));
  }
}

/// Factors of what is there and of the new part (lanes r and 8 + r), as merge() has them; sums brought up to date.
template <int kRows>
TROUPE_INLINE void page_factors(const PageJob& job, std::uint32_t query, const SoftmaxPart* parts, float* factors) {
  static_assert(kRows <= 8);
  for (int i = 0; i < 16; ++i) factors[i] = 0.0F;
  for (int r = 0; r < kRows; ++r) {
    const SoftmaxPart& sum = job.sums[query + static_cast<std::uint32_t>(r)];
    const float largest = sum.max > parts[r].max ? sum.max : parts[r].max;
    factors[r] = sum.max - largest;
    factors[8 + r] = parts[r].max - largest;
  }
  store(factors, exp(load(factors)));
  for (int r = 0; r < kRows; ++r) {
    SoftmaxPart& sum = job.sums[query + static_cast<std::uint32_t>(r)];
    if (job.started[query + static_cast<std::uint32_t>(r)] == 0) {
      sum = parts[r];
      continue;
    }
    sum.max = sum.max > parts[r].max ? sum.max : parts[r].max;
    sum.sum = __builtin_fmaf(sum.sum, factors[r], parts[r].sum * factors[8 + r]);
  }
}

/// out = merge(out, weights x values), columns [col, col + 16 * kVectors).
template <bool kWhole, bool kAhead, class T, int kRows, int kVectors>
TROUPE_INLINE void page_values(const PageJob& job, std::uint32_t query, const float* weights, const float* factors,
                               std::uint32_t col) {
  const std::uint32_t first = kWhole ? 0 : job.begin;
  const std::uint32_t count = kWhole ? 64 : job.end - job.begin;
  const float* w[kRows];
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r) w[r] = weights + 64 * r + first;
  F32x16 acc[kRows][kVectors];
  const std::size_t skipped = std::size_t{first} * job.value_cols;
  page_product<kAhead>(w, static_cast<const T*>(job.values) + skipped + col, job.value_cols, count,
                       static_cast<const T*>(job.after_values) + skipped + col, acc);
  TROUPE_UNROLL for (int r = 0; r < kRows; ++r) {
    const std::uint32_t at = query + static_cast<std::uint32_t>(r);
    float* out = job.out[at] + col;
    if (job.started[at] == 0) {
      TROUPE_UNROLL for (int v = 0; v < kVectors; ++v) store(out + 16 * v, acc[r][v]);
      continue;
    }
    const F32x16 old_factor = set1(factors[r]);
    const F32x16 new_factor = set1(factors[8 + r]);
    TROUPE_UNROLL for (int v = 0; v < kVectors; ++v)
      store(out + 16 * v, fma(load(out + 16 * v), old_factor, mul(acc[r][v], new_factor)));
  }
}

template <bool kWhole, bool kAhead, class T, int kRows, int kVectors>
void page_rows(const PageJob& job, std::uint32_t query) {
  alignas(64) float scores[kRows * 64];
  alignas(64) float factors[16];
  SoftmaxPart parts[kRows];
  F32x16 largest[kRows];
  page_scores<kWhole, kAhead, T, kRows, kVectors>(job, query, scores, largest);
  if (job.softcap != 0.0F) page_cap<kRows>(job, scores, largest);
  page_softmax<kRows>(scores, largest, parts);
  if constexpr (kCodes<T>) page_value_scales<kRows>(job, scores);
  page_factors<kRows>(job, query, parts, factors);
  constexpr std::uint32_t kCols = 16 * kVectors;
  std::uint32_t col = 0;
  for (; col + kCols <= job.value_cols; col += kCols)
    page_values<kWhole, kAhead, T, kRows, kVectors>(job, query, scores, factors, col);
  for (; col < job.value_cols; col += 16) page_values<kWhole, kAhead, T, kRows, 1>(job, query, scores, factors, col);
}

/// Queries [query, ...) in steps of kRows. The first of a job bring the page from memory; the others find it in the cache.
template <bool kWhole, class T, int kRows, int kVectors>
TROUPE_INLINE void page_steps(const PageJob& job, std::uint32_t& query) {
  for (; query + kRows <= job.queries; query += kRows)
    job.after_keys != nullptr && query == 0 ? page_rows<kWhole, true, T, kRows, kVectors>(job, query)
                                            : page_rows<kWhole, false, T, kRows, kVectors>(job, query);
}

template <class T>
void attend_page(const PageJob& job) {
  std::uint32_t query = 0;
  if (job.begin > 0 || job.end < 64) {  // the end of a sequence or of a window: few queries
    page_steps<false, T, kFewRows, kFewVectors>(job, query);
    page_steps<false, T, 1, kOneVectors>(job, query);
    return;
  }
  page_steps<true, T, kPageRows, kPageVectors>(job, query);
  page_steps<true, T, kFewRows, kFewVectors>(job, query);
  page_steps<true, T, 1, kOneVectors>(job, query);
}

void attend(const PageJob& job) {
  if (job.key_scales != nullptr) return attend_page<std::int8_t>(job);
  job.half ? attend_page<std::uint16_t>(job) : attend_page<float>(job);
}

#undef TROUPE_UNROLL
