// exp and tanh over 16 lanes: range reduction and a polynomial in explicit fused steps, no table, no estimate instructions.

/// exp for |r| <= 0.35.
TROUPE_INLINE F32x16 exp_series(F32x16 r) {
  F32x16 p = set1(0x1.a01a02p-13F);  // Taylor to r^7 / 7!: |r| <= 0.35 leaves 6e-9
  p = fma(p, r, set1(0x1.6c16c2p-10F));
  p = fma(p, r, set1(0x1.111112p-7F));
  p = fma(p, r, set1(0x1.555556p-5F));
  p = fma(p, r, set1(0x1.555556p-3F));
  p = fma(p, r, set1(0.5F));
  p = fma(p, r, set1(1.0F));
  return fma(p, r, set1(1.0F));
}

/// Within 1.5 ulp; 0 below -87, infinity above 88.73. NaN is treated as -87.
TROUPE_INLINE F32x16 exp(F32x16 x) {
  const F32x16 bounded = min(max(x, set1(-87.0F)), set1(89.0F));
  const I32x16 n = round_to_int(mul(bounded, set1(0x1.715476p+0F)));  // x / ln 2
  const F32x16 minus_n = sub(zero(), to_float(n));
  // ln 2 in two parts, the first short enough for an exact product.
  F32x16 r = fma(minus_n, set1(0x1.62e4p-1F), bounded);
  r = fma(minus_n, set1(0x1.7f7d1cp-20F), r);
  const F32x16 p = exp_series(r);
  const I32x16 n_half = half_of(n);  // 2^n in two exact factors: n reaches 128
  const F32x16 result = mul(mul(p, power_of_two(n_half)), power_of_two(minus(n, n_half)));
  return select_less(x, set1(-87.0F), zero(), result);
}

/// Within 2 ulp. Small arguments: x + x^3 P(x^2), a least-squares fit on [0, 0.625]; else 1 - 2 / (exp(2|x|) + 1).
TROUPE_INLINE F32x16 tanh(F32x16 x) {
  const F32x16 size = abs(x);
  const F32x16 z = mul(x, x);
  F32x16 p = set1(0.0022958028130233288F);
  p = fma(p, z, set1(-0.008346939459443092F));
  p = fma(p, z, set1(0.021769944578409195F));
  p = fma(p, z, set1(-0.053959403187036514F));
  p = fma(p, z, set1(0.13333304226398468F));
  p = fma(p, z, set1(-0.3333333432674408F));
  const F32x16 small = fma(mul(size, z), p, size);
  const F32x16 large = sub(set1(1.0F), div(set1(2.0F), add(exp(add(size, size)), set1(1.0F))));
  return copy_sign(select_less(size, set1(0.625F), small, large), x);
}
