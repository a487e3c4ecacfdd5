// Ops that work row by row: against libm in double, between instruction sets, alone and in a batch, aliased and strided.
#include <cmath>
#include <functional>

#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/backend/cpu/rope_math.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

const std::vector<std::uint32_t> kWidths = {1, 15, 16, 17, 64, 100, 576};

/// The bytes of prepared rows, seen through a product with the identity and through the raw buffer.
std::vector<float> raw(Rig& rig, const Held& prepared) {
  std::vector<float> bytes(prepared.buffer->bytes() / 4);
  rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(bytes)), *prepared.buffer, 0);
  return bytes;
}

TEST(RmsNorm, AgreesWithDoubleAndMayWorkInPlace) {
  for (const std::uint32_t width : kWidths) {
    Rig rig(Isa::automatic, 2);
    Numbers numbers(width);
    const auto x = numbers.many(std::size_t{5} * width, 3.0F);
    const auto w = numbers.many(width);
    const auto weight = rig.vector(w);
    Held in = rig.floats(5, width, x);
    Held out = rig.empty(5, width);
    rig.backend->rms_norm(*rig.stream, in.ref, *weight, 1e-5F, out.ref);
    const auto got = rig.read(out);
    rig.backend->rms_norm(*rig.stream, in.ref, *weight, 1e-5F, in.ref);
    EXPECT_TRUE(same_bits(got, rig.read(in)));
    for (std::uint32_t row = 0; row < 5; ++row) {
      double squares = 0.0;
      for (std::uint32_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(x[row * width + i]), 2);
      const double factor = 1.0 / std::sqrt(squares / width + 1e-5);
      for (std::uint32_t i = 0; i < width; ++i) {
        const double expected = static_cast<double>(x[row * width + i]) * factor * static_cast<double>(w[i]);
        ASSERT_NEAR(got[row * width + i], expected, 1e-6 * std::fabs(expected) + 1e-12);
      }
    }
  }
}

TEST(NormPrepare, GivesTheBytesOfNormThenPrepare) {
  for (const Isa isa : supported_isas())
    for (const Numerics numerics : {Numerics::fast, Numerics::reference})
      for (const bool float_weights : {false, true})
        for (const std::uint32_t width : {64U, 576U, 1536U}) {
          Rig rig(isa, 2, numerics);
          Numbers numbers(width);
          if (float_weights) (void)rig.matrix(gguf::TensorType::f32, 1, 32, std::vector<std::byte>(128));
          const auto weight = rig.vector(numbers.many(width));
          const auto matrix = rig.matrix(float_weights ? gguf::TensorType::f16 : gguf::TensorType::q8_0, 48, width,
                                         blocks_of(float_weights ? gguf::TensorType::f16 : gguf::TensorType::q8_0,
                                                   numbers.many(std::size_t{48} * width)));
          Held x = rig.floats(9, width, numbers.many(std::size_t{9} * width));
          Held normed = rig.empty(9, width);
          Held two = rig.activation(9, width);
          Held one = rig.activation(9, width);
          Held out_two = rig.empty(9, 48);
          Held out_one = rig.empty(9, 48);
          rig.backend->rms_norm(*rig.stream, x.ref, *weight, 1e-6F, normed.ref);
          rig.backend->prepare(*rig.stream, normed.ref, two.ref);
          rig.backend->norm_prepare(*rig.stream, x.ref, *weight, 1e-6F, one.ref);
          rig.backend->linear(*rig.stream, two.ref, *matrix, nullptr, out_two.ref);
          rig.backend->linear(*rig.stream, one.ref, *matrix, nullptr, out_one.ref);
          ASSERT_TRUE(same_bits(rig.read(out_two), rig.read(out_one)));
        }
}

TEST(GatedPrepare, GivesTheBytesOfGatedThenPrepare) {
  for (const Isa isa : supported_isas())
    for (const Numerics numerics : {Numerics::fast, Numerics::reference})
      for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
        Rig rig(isa, 2, numerics);
        Numbers numbers(9);
        Held gate = rig.floats(11, 1536, numbers.many(std::size_t{11} * 1536, 3.0F));
        Held up = rig.floats(11, 1536, numbers.many(std::size_t{11} * 1536, 3.0F));
        const auto matrix = rig.matrix(gguf::TensorType::q8_0, 48, 1536,
                                       blocks_of(gguf::TensorType::q8_0, numbers.many(std::size_t{48} * 1536)));
        Held product = rig.empty(11, 1536);
        Held two = rig.activation(11, 1536);
        Held one = rig.activation(11, 1536);
        Held out_two = rig.empty(11, 48);
        Held out_one = rig.empty(11, 48);
        rig.backend->gated(*rig.stream, kind, gate.ref, up.ref, product.ref);
        rig.backend->prepare(*rig.stream, product.ref, two.ref);
        rig.backend->gated_prepare(*rig.stream, kind, gate.ref, up.ref, one.ref);
        rig.backend->linear(*rig.stream, two.ref, *matrix, nullptr, out_two.ref);
        rig.backend->linear(*rig.stream, one.ref, *matrix, nullptr, out_one.ref);
        ASSERT_TRUE(same_bits(rig.read(out_two), rig.read(out_one)));
      }
}

TEST(RopeWrite, GivesTheBytesOfRopeThenKvWrite) {
  constexpr std::uint32_t kRows = 21;
  for (const Isa isa : supported_isas())
    for (const RopeStyle style : {RopeStyle::none, RopeStyle::adjacent, RopeStyle::half}) {
      Rig rig(isa, 2);
      Numbers numbers(5);
      const KvLayout layout{.layers = 2, .kv_heads = 2, .key_dim = 48, .value_dim = 32, .dtype = DType::f16, .pages = 2};
      std::vector<std::int32_t> places, slot;
      for (std::uint32_t i = 0; i < kRows; ++i) places.push_back(static_cast<std::int32_t>(i * 3));
      for (std::uint32_t i = 0; i < kRows; ++i) slot.push_back(static_cast<std::int32_t>(i < 9 ? i + 60 : i + 70));
      Held positions = rig.ints(places), slots = rig.ints(slot), table = rig.empty(kRows, 32);
      rig.backend->rope_table(*rig.stream, {.dims = 32, .base = 1e4, .scale = 1.0, .freq_factors = {}}, positions.ref, table.ref);
      const auto q = numbers.many(kRows * 6 * 48), k = numbers.many(kRows * 2 * 48), v = numbers.many(kRows * 2 * 32);
      std::vector<float> first;
      for (const bool together : {false, true}) {
        Held queries = rig.floats(kRows, 6 * 48, q), keys = rig.floats(kRows, 2 * 48, k), values = rig.floats(kRows, 2 * 32, v);
        auto kv = std::move(*rig.backend->allocate(layout.offset(2, 0)));
        if (together) {
          rig.backend->rope_write(*rig.stream, style, table.ref, layout, *kv, 1, queries.ref, keys.ref, values.ref, slots.ref);
        } else {
          rig.backend->rope(*rig.stream, style, table.ref, 6, queries.ref);
          rig.backend->rope(*rig.stream, style, table.ref, 2, keys.ref);
          rig.backend->kv_write(*rig.stream, layout, *kv, 1, keys.ref, values.ref, slots.ref);
        }
        auto got = rig.read(queries);
        std::vector<float> pages(layout.offset(2, 0) / 4);
        rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(pages)), *kv, 0);
        rig.backend->synchronize(*rig.stream);
        got.insert(got.end(), pages.begin(), pages.end());
        if (first.empty()) first = got;
        ASSERT_TRUE(same_bits(first, got)) << rig.backend->info().name;
      }
      ASSERT_NE(first, std::vector<float>(first.size()));
    }
}

TEST(Prepare, GivesTheSameBytesOnEveryInstructionSetForOddWidths) {
  for (const std::uint32_t width : {1U, 31U, 32U, 33U, 47U, 576U, 1100U}) {
    std::vector<float> first;
    for (const Isa isa : supported_isas()) {
      Rig rig(isa);
      auto x = Numbers(width).many(std::size_t{6} * width, 10.0F);
      for (std::size_t i = 0; i < x.size(); i += 5) x[i] *= 1e-3F;
      Held in = rig.floats(6, width, x);
      Held prepared = rig.activation(6, width);
      rig.backend->prepare(*rig.stream, in.ref, prepared.ref);
      const auto bytes = raw(rig, prepared);
      if (first.empty()) first = bytes;
      ASSERT_TRUE(same_bits(first, bytes)) << rig.backend->info().name << " width " << width;
    }
  }
}

/// Runs one op over rows of every width on every instruction set, in a batch and row by row: all bytes must agree.
void expect_same_everywhere(const std::function<std::vector<float>(Rig&, std::uint32_t rows, std::uint32_t width,
                                                                   const std::vector<float>& x)>& op,
                            const std::vector<std::uint32_t>& widths = kWidths) {
  for (const std::uint32_t width : widths) {
    constexpr std::uint32_t kRows = 40;
    const auto x = Numbers(width).many(std::size_t{kRows} * width, 6.0F);
    std::vector<float> first;
    for (const Isa isa : supported_isas())
      for (const std::uint32_t threads : {1U, 3U}) {
        Rig rig(isa, threads);
        const auto all = op(rig, kRows, width, x);
        if (first.empty()) first = all;
        ASSERT_TRUE(same_bits(first, all)) << rig.backend->info().name << " width " << width;
        for (const std::uint32_t row : {0U, 17U, 39U})
          ASSERT_TRUE(same_bits(op(rig, 1, width, row_of(x, row, width)), row_of(all, row, all.size() / kRows)));
      }
  }
}

TEST(RmsNorm, IsTheSameEverywhere) {
  expect_same_everywhere([](Rig& rig, std::uint32_t rows, std::uint32_t width, const std::vector<float>& x) {
    const auto weight = rig.vector(Numbers(1).many(width));
    Held in = rig.floats(rows, width, x);
    rig.backend->rms_norm(*rig.stream, in.ref, *weight, 1e-6F, in.ref);
    return rig.read(in);
  });
}

TEST(Gated, IsTheSameEverywhereForBothActivations) {
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh})
    expect_same_everywhere([=](Rig& rig, std::uint32_t rows, std::uint32_t width, const std::vector<float>& x) {
      Held gate = rig.floats(rows, width, x);
      Held up = rig.floats(rows, width, std::vector<float>(x.size(), 0.7F));
      rig.backend->gated(*rig.stream, activation, gate.ref, up.ref, gate.ref);
      return rig.read(gate);
    });
}

TEST(AddAndSoftcap, AreTheSameEverywhere) {
  expect_same_everywhere([](Rig& rig, std::uint32_t rows, std::uint32_t width, const std::vector<float>& x) {
    Held a = rig.floats(rows, width, x);
    Held b = rig.floats(rows, width, std::vector<float>(x.size(), 0.1F));
    rig.backend->add(*rig.stream, a.ref, b.ref, a.ref);
    rig.backend->softcap(*rig.stream, a.ref, 3.0F);
    return rig.read(a);
  });
}

TEST(Gated, AgreesWithDouble) {
  Rig rig;
  const auto g = Numbers(1).many(4000, 12.0F);
  const auto u = Numbers(2).many(4000);
  Held gate = rig.floats(1, 4000, g);
  Held up = rig.floats(1, 4000, u);
  Held out = rig.empty(1, 4000);
  rig.backend->gated(*rig.stream, Activation::silu, gate.ref, up.ref, out.ref);
  const auto silu = rig.read(out);
  rig.backend->gated(*rig.stream, Activation::gelu_tanh, gate.ref, up.ref, out.ref);
  const auto gelu = rig.read(out);
  for (std::size_t i = 0; i < g.size(); ++i) {
    const auto x = static_cast<double>(g[i]);
    const auto y = static_cast<double>(u[i]);
    ASSERT_NEAR(silu[i], x / (1.0 + std::exp(-x)) * y, 3e-7 * std::fabs(x * y) + 1e-12);
    const double tanh = std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
    ASSERT_NEAR(gelu[i], 0.5 * x * (1.0 + tanh) * y, 3e-7 * std::fabs(x * y) + 1e-12);
  }
}

TEST(Rope, AgreesWithLibmInBothStylesAtFarPositions) {
  const std::vector<std::int32_t> positions = {0, 1, 63, 8191, 131071};
  for (const RopeStyle style : {RopeStyle::adjacent, RopeStyle::half})
    for (const std::uint32_t dims : {64U, 256U, 40U}) {
      const std::uint32_t head = dims == 40 ? 64 : dims;  // a part of the head only
      Rig rig(Isa::automatic, 2);
      Numbers numbers(dims);
      RopeParams params{.dims = dims, .base = 100000.0, .scale = 0.5, .freq_factors = {}};
      for (std::uint32_t i = 0; i < dims / 2; ++i) params.freq_factors.push_back(1.0F + numbers.one() * 0.5F);
      const auto x = numbers.many(positions.size() * 3 * head);
      Held in = rig.floats(5, 3 * head, x);
      Held at = rig.ints(positions);
      Held table = rig.empty(5, dims);
      rig.backend->rope_table(*rig.stream, params, at.ref, table.ref);
      rig.backend->rope(*rig.stream, style, table.ref, 3, in.ref);
      const auto got = rig.read(in);
      for (std::size_t row = 0; row < positions.size(); ++row)
        for (std::size_t h = 0; h < 3; ++h)
          for (std::size_t i = 0; i < head / 2; ++i) {
            if (i >= dims / 2) continue;
            const double angle = positions[row] * 0.5 * std::pow(100000.0, -2.0 * static_cast<double>(i) / dims) /
                                 static_cast<double>(params.freq_factors[i]);
            const std::size_t base = row * 3 * head + h * head;
            const std::size_t a = base + (style == RopeStyle::half ? i : 2 * i);
            const std::size_t b = style == RopeStyle::half ? a + dims / 2 : a + 1;
            const double x0 = x[a];
            const double x1 = x[b];
            ASSERT_NEAR(got[a], x0 * std::cos(angle) - x1 * std::sin(angle), 1e-6);
            ASSERT_NEAR(got[b], x0 * std::sin(angle) + x1 * std::cos(angle), 1e-6);
          }
      for (std::size_t i = dims; i < head; ++i) ASSERT_EQ(got[i], x[i]);
    }
}

TEST(Rope, IsTheSameEverywhere) {
  for (const RopeStyle style : {RopeStyle::adjacent, RopeStyle::half})
    expect_same_everywhere(
        [=](Rig& rig, std::uint32_t rows, std::uint32_t width, const std::vector<float>& x) {
          Held in = rig.floats(rows, width, x);
          Held at = rig.ints(std::vector<std::int32_t>(rows, 1234));
          Held table = rig.empty(rows, width / 2);
          rig.backend->rope_table(*rig.stream, {.dims = width / 2, .base = 1e6, .scale = 1.0, .freq_factors = {}}, at.ref, table.ref);
          rig.backend->rope(*rig.stream, style, table.ref, 2, in.ref);
          return rig.read(in);
        },
        {4, 36, 64, 512});
}

TEST(GatherRows, CopiesTheNamedRows) {
  Rig rig;
  Held x = rig.floats(4, 2, {0, 1, 10, 11, 20, 21, 30, 31});
  Held rows = rig.ints({3, 0, 3});
  Held out = rig.empty(3, 2);
  rig.backend->gather_rows(*rig.stream, x.ref, rows.ref, out.ref);
  EXPECT_EQ(rig.read(out), (std::vector<float>{30, 31, 0, 1, 30, 31}));
}

TEST(Views, StridesAndOffsetsLeaveTheRestAlone) {
  Rig rig;
  Held x = rig.floats(3, 4, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  TensorRef right = x.ref;
  right.offset_bytes = 8;
  right.cols = 2;
  TensorRef left = x.ref;
  left.cols = 2;
  rig.backend->add(*rig.stream, left, right, right);
  EXPECT_EQ(rig.read(x), (std::vector<float>{0, 1, 2, 4, 4, 5, 10, 12, 8, 9, 18, 20}));
}

// ---- the functions themselves

double ulps(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  const double step = static_cast<double>(std::nextafter(std::fabs(rounded), INFINITY)) - std::fabs(static_cast<double>(rounded));
  return std::fabs(static_cast<double>(got) - exact) / step;
}

TEST(Functions, ExpStaysWithinTwoUlpAndEndsCleanly) {
  for (const Isa isa : supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    double worst = 0.0;
    for (float base = -87.0F; base < 88.7F; base += 0.0137F) {
      float x[16];
      float y[16];
      for (int i = 0; i < 16; ++i) x[i] = base + 0.0008F * static_cast<float>(i);
      kernels.exp(x, 16, y);
      for (int i = 0; i < 16; ++i)
        if (x[i] >= -87.0F && x[i] < 88.7F) worst = std::max(worst, ulps(y[i], std::exp(static_cast<double>(x[i]))));
    }
    EXPECT_LT(worst, 1.5) << isa_name(isa);
    const float ends[4] = {0.0F, -INFINITY, -88.0F, 100.0F};
    float at[4];
    kernels.exp(ends, 4, at);
    EXPECT_EQ(at[0], 1.0F);
    EXPECT_EQ(at[1], 0.0F);
    EXPECT_EQ(at[2], 0.0F);
    EXPECT_EQ(at[3], INFINITY);
  }
}

TEST(Functions, TanhStaysWithinTwoUlp) {
  for (const Isa isa : supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    double worst = 0.0;
    for (float base = -10.0F; base < 10.0F; base += 0.00171F) {
      float x = base;
      float y = 0.0F;
      kernels.tanh(&x, 1, &y);
      worst = std::max(worst, ulps(y, std::tanh(static_cast<double>(x))));
    }
    EXPECT_LT(worst, 2.0) << isa_name(isa);
    const float ends[4] = {INFINITY, -INFINITY, -0.0F, 1e-30F};
    float at[4];
    kernels.tanh(ends, 4, at);
    EXPECT_EQ(at[0], 1.0F);
    EXPECT_EQ(at[1], -1.0F);
    EXPECT_TRUE(std::signbit(at[2]));
    EXPECT_EQ(at[3], 1e-30F);
  }
}

TEST(Functions, DoubleExpLogSineAndCosineAgreeWithLibm) {
  Numbers numbers(1);
  for (int i = 0; i < 20000; ++i) {
    const double x = static_cast<double>(numbers.one()) * 300.0;
    ASSERT_NEAR(cpu::exact_exp(x) / std::exp(x), 1.0, 2e-15) << x;
    const double y = std::exp(x);
    ASSERT_NEAR(cpu::exact_log(y), std::log(y), 3e-16 * std::fabs(x) + 3e-16) << y;
    const double angle = static_cast<double>(numbers.one()) * (i % 2 == 0 ? 10.0 : 1e6);
    const cpu::SineCosine pair = cpu::exact_sine_cosine(angle);
    ASSERT_NEAR(pair.sine, std::sin(angle), 3e-16) << angle;
    ASSERT_NEAR(pair.cosine, std::cos(angle), 3e-16) << angle;
  }
}

TEST(Functions, HalvesConvertAsTheInstructionsDo) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<float> first(all.size());
  cpu::kernels_for(Isa::scalar).from_half(all.data(), all.size(), first.data());
  std::vector<float> values(first);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= 1.00043F;  // between two halves
  std::vector<std::uint16_t> rounded(all.size());
  cpu::kernels_for(Isa::scalar).to_half(values.data(), all.size(), rounded.data());
  for (const Isa isa : supported_isas()) {
    std::vector<float> wide(all.size());
    cpu::kernels_for(isa).from_half(all.data(), all.size(), wide.data());
    EXPECT_TRUE(same_bits(first, wide));
    std::vector<std::uint16_t> narrow(all.size());
    cpu::kernels_for(isa).to_half(values.data(), all.size(), narrow.data());
    EXPECT_EQ(rounded, narrow);
  }
}

}  // namespace
}  // namespace troupe::backend::test
