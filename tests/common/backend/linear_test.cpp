// The matrix product: against the pinned formula in plain code, between instruction sets, row counts and thread counts.
#include <algorithm>
#include <cmath>
#include <span>

#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

using gguf::TensorType;

bool is_float(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

std::string type_name(TensorType type) {
  return std::string(gguf::tensor_type_info(static_cast<std::uint32_t>(type))->name);
}

/// A block as code * d, in double; `d` is returned.
float quantized_block(std::span<const float> x, double* seen) {
  float amax = 0.0F;
  for (const float value : x) amax = std::max(amax, std::fabs(value));
  const float d = amax / 127.0F;
  const float inverse = amax > 0.0F ? 127.0F / amax : 0.0F;
  for (std::size_t i = 0; i < x.size(); ++i)
    seen[i] = static_cast<double>(d) * std::nearbyint(static_cast<double>(x[i] * inverse));
  return d;
}

/// Inputs as the product sees them: blocks of 32; of every 32 blocks, or part of them, one with what rounding left of it.
std::vector<double> quantized_inputs(const std::vector<float>& x, bool residuals = true) {
  std::vector<double> seen(x.size());
  std::vector<std::pair<float, std::size_t>> order;
  const auto size = [&](std::size_t begin) { return std::min<std::size_t>(32, x.size() - begin); };
  for (std::size_t begin = 0; begin < x.size(); begin += 32)
    order.emplace_back(-quantized_block(std::span(x).subspan(begin, size(begin)), &seen[begin]), begin);
  std::sort(order.begin(), order.end());
  order.resize(residuals ? (order.size() + 31) / 32 : 0);
  for (const auto& [minus_d, begin] : order) {
    std::vector<float> rest(size(begin));
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i] = static_cast<float>(static_cast<double>(x[begin + i]) - seen[begin + i]);
    std::vector<double> more(rest.size());
    quantized_block(rest, more.data());
    for (std::size_t i = 0; i < rest.size(); ++i) seen[begin + i] += more[i];
  }
  return seen;
}

struct Case {
  std::uint32_t n;
  std::uint32_t k;
};
const std::vector<Case> kShapes = {{1, 256}, {15, 512}, {16, 256}, {33, 768}, {70, 1536}, {17, 2304}};

TEST(Linear, AgreesWithDoubleArithmeticForEveryWeightType) {
  for (const TensorType type : all_types())
    for (const Numerics numerics : {Numerics::fast, Numerics::reference})
      for (const Case shape : kShapes) {
        Numbers numbers(shape.n * 1000 + shape.k);
        const auto blocks = blocks_of(type, numbers.many(std::size_t{shape.n} * shape.k));
        const auto weights = floats_of(type, blocks, std::size_t{shape.n} * shape.k);
        const auto x = numbers.many(std::size_t{3} * shape.k, 4.0F);
        const auto bias = numbers.many(shape.n);
        Rig rig(Isa::automatic, 1, numerics);
        const auto matrix = rig.matrix(type, shape.n, shape.k, blocks);
        const auto bias_vector = rig.vector(bias);
        const auto out = rig.linear(x, 3, *matrix, bias_vector.get());
        for (std::uint32_t row = 0; row < 3; ++row) {
          const auto in = row_of(x, row, shape.k);
          const bool rounds = numerics == Numerics::fast && !is_float(type);
          const auto seen = rounds ? quantized_inputs(in) : std::vector<double>(in.begin(), in.end());
          for (std::uint32_t n = 0; n < shape.n; ++n) {
            double expected = bias[n];
            double size = std::fabs(expected);
            for (std::uint32_t k = 0; k < shape.k; ++k) {
              const double product = seen[k] * static_cast<double>(weights[std::size_t{n} * shape.k + k]);
              expected += product;
              size += std::fabs(product);
            }
            ASSERT_NEAR(out[std::size_t{row} * shape.n + n], expected, 2e-6 * size + 1e-6)
                << type_name(type) << " [" << shape.n << ", " << shape.k << "] row " << row << " output " << n;
          }
        }
      }
}

TEST(Linear, GivesTheSameBitsOnEveryInstructionSet) {
  for (const TensorType type : all_types())
    for (const Numerics numerics : {Numerics::fast, Numerics::reference})
      for (const Case shape : kShapes) {
        Numbers numbers(shape.n + shape.k);
        const auto blocks = blocks_of(type, numbers.many(std::size_t{shape.n} * shape.k));
        const auto x = numbers.many(std::size_t{7} * shape.k, 3.0F);
        std::vector<float> first;
        for (const Isa isa : supported_isas()) {
          Rig rig(isa, 1, numerics);
          const auto matrix = rig.matrix(type, shape.n, shape.k, blocks);
          const auto out = rig.linear(x, 7, *matrix);
          if (first.empty()) first = out;
          ASSERT_TRUE(same_bits(first, out)) << rig.backend->info().name << " " << type_name(type) << " [" << shape.n << ", "
                                             << shape.k << "]";
        }
      }
}

TEST(Linear, GivesARowTheSameBitsAloneAndInEveryBatch) {
  constexpr std::uint32_t kN = 50;
  constexpr std::uint32_t kK = 256;
  constexpr std::uint32_t kRows = 70;
  for (const Isa isa : supported_isas())
    for (const TensorType type : all_types()) {
      Numbers numbers(7);
      Rig rig(isa);
      const auto matrix = rig.matrix(type, kN, kK, blocks_of(type, numbers.many(std::size_t{kN} * kK)));
      auto x = numbers.many(std::size_t{kRows} * kK);
      for (std::size_t row = 0; row < 40; ++row)  // these rows' largest block is the same one: their residuals go together
        for (std::size_t i = 64; i < 96; ++i) x[row * kK + i] *= 40.0F;
      const auto all = rig.linear(x, kRows, *matrix);
      for (std::uint32_t rows = 1; rows < kRows; rows += isa == Isa::scalar ? 23 : 1) {
        const auto out = rig.linear({x.begin(), x.begin() + rows * kK}, rows, *matrix);
        ASSERT_TRUE(same_bits(out, {all.begin(), all.begin() + rows * kN})) << rows << " rows, " << type_name(type);
      }
      const auto last = rig.linear(row_of(x, kRows - 1, kK), 1, *matrix);
      ASSERT_TRUE(same_bits(last, row_of(all, kRows - 1, kN)));
    }
}

TEST(Linear, GivesTheSameBitsForEveryThreadCount) {
  Numbers numbers(11);
  const auto blocks = blocks_of(TensorType::q4_1, numbers.many(std::size_t{600} * 576));
  const auto x = numbers.many(std::size_t{9} * 576);
  std::vector<float> first;
  for (const std::uint32_t threads : {1U, 2U, 3U, 5U}) {
    Rig rig(Isa::automatic, threads);
    const auto matrix = rig.matrix(TensorType::q4_1, 600, 576, blocks);
    const auto out = rig.linear(x, 9, *matrix);
    if (first.empty()) first = out;
    ASSERT_TRUE(same_bits(first, out)) << threads << " threads";
  }
}

TEST(Linear, GivesTheSameBitsInAGroup) {
  // Matrices of other types and widths, one with a bias; tasks end inside them.
  constexpr std::uint32_t kK = 512;
  const std::pair<TensorType, std::uint32_t> matrices[] = {
      {TensorType::q4_k, 70}, {TensorType::q8_0, 16}, {TensorType::f16, 33}, {TensorType::q5_0, 200}};
  for (const Isa isa : supported_isas())
    for (const std::uint32_t threads : {1U, 3U})
      for (const std::uint32_t rows : {1U, 4U, 37U}) {
        Numbers numbers(rows);
        Rig rig(isa, threads);
        const auto x = numbers.many(std::size_t{rows} * kK);
        const auto bias = rig.vector(numbers.many(16));
        std::vector<std::unique_ptr<Weight>> weights;
        for (const auto& [type, n] : matrices) weights.push_back(rig.matrix(type, n, kK, blocks_of(type, numbers.many(std::size_t{n} * kK))));
        Held in = rig.floats(rows, kK, x);
        Held prepared = rig.activation(rows, kK);
        std::vector<Held> outs;
        std::vector<Product> products;
        for (const auto& weight : weights) {
          outs.push_back(rig.empty(rows, weight->rows()));
          products.push_back({weight.get(), weight->rows() == 16 ? bias.get() : nullptr, outs.back().ref});
        }
        rig.backend->prepare(*rig.stream, in.ref, prepared.ref);
        rig.backend->linear_group(*rig.stream, prepared.ref, products);
        for (std::size_t i = 0; i < weights.size(); ++i)
          ASSERT_TRUE(same_bits(rig.read(outs[i]), rig.linear(x, rows, *weights[i], products[i].bias)))
              << rig.backend->info().name << ", " << rows << " rows, " << type_name(matrices[i].first);
      }
}

TEST(Linear, KeepsExtremeCodesExact) {
  // Every code at its end and every input at +-127: where a saturating or overflowing product would show.
  for (const TensorType type : {TensorType::q8_0, TensorType::q4_0, TensorType::q5_1, TensorType::q6_k}) {
    constexpr std::uint32_t kK = 256;
    std::vector<std::byte> blocks(quantized_bytes(type, std::uint64_t{16} * kK).value());
    for (const unsigned fill : {0x00U, 0x7fU, 0x80U, 0xffU}) {
      const auto* info = gguf::tensor_type_info(static_cast<std::uint32_t>(type));
      for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::byte>(fill);
      for (std::size_t block = 0; block < blocks.size(); block += info->block_bytes) {
        const std::uint16_t one = 0x3c00;
        std::memcpy(&blocks[block + (type == TensorType::q6_k ? 208 : 0)], &one, 2);
        if (type == TensorType::q5_1) std::memcpy(&blocks[block + 2], &one, 2);
      }
      const auto weights = floats_of(type, blocks, std::size_t{16} * kK);
      for (const float value : {1.0F, -1.0F}) {
        const std::vector<float> x(kK, value);
        double expected = 0.0;
        for (std::uint32_t k = 0; k < kK; ++k) expected += static_cast<double>(value) * static_cast<double>(weights[k]);
        for (const Isa isa : supported_isas()) {
          Rig rig(isa);
          const auto matrix = rig.matrix(type, 16, kK, blocks);
          ASSERT_NEAR(rig.linear(x, 1, *matrix)[0], expected, std::fabs(expected) * 1e-6)
              << type_name(type) << " filled with " << fill << " on " << rig.backend->info().name;
        }
      }
    }
  }
}

TEST(Linear, KeepsExtremeResidualsExact) {
  // Every code and every residual code of a block at its end, with weights at both ends of theirs, mixed or all below the zero
  // point: where a saturating product or a lost sign would show.
  constexpr std::uint32_t kK = 256;
  for (const TensorType type : all_types()) {
    if (is_float(type)) continue;
    Numbers numbers(13);
    auto values = numbers.many(std::size_t{16} * kK);
    for (float& value : values) value = value < 0.0F ? -1.0F : 1.0F;
    for (const bool one_sign : {false, true}) {
      if (one_sign) std::fill(values.begin(), values.end(), -1.0F);
      const auto blocks = blocks_of(type, values);
      const auto weights = floats_of(type, blocks, values.size());
      for (const float code : {126.5F, -126.5F, 0.5F, -0.5F}) {
        std::vector<float> x(kK, 0.0F);
        std::fill(x.begin() + 64, x.begin() + 96, code);  // its rest is 0.5 everywhere but in the first channel
        x[64] = 127.0F;                                    // so d is 1
        for (const Isa isa : supported_isas()) {
          Rig rig(isa);
          const auto matrix = rig.matrix(type, 16, kK, blocks);
          const auto out = rig.linear(x, 1, *matrix);
          for (std::uint32_t n = 0; n < 16; ++n) {
            double expected = 0.0;
            double size = 0.0;
            for (std::uint32_t k = 0; k < kK; ++k) {
              expected += static_cast<double>(x[k]) * static_cast<double>(weights[n * kK + k]);
              size += std::fabs(static_cast<double>(x[k]) * static_cast<double>(weights[n * kK + k]));
            }
            ASSERT_NEAR(out[n], expected, 1e-6 * size) << type_name(type) << " code " << code << " on "
                                                       << rig.backend->info().name;
          }
        }
      }
    }
  }
}

TEST(Linear, LosesLittleBesideAnOutlier) {
  // One channel is 50 times its neighbours: without its block's residual nearly all error would be there.
  constexpr std::uint32_t kN = 48;
  constexpr std::uint32_t kK = 768;
  for (const TensorType type : all_types()) {
    if (is_float(type)) continue;
    Numbers numbers(17);
    const auto blocks = blocks_of(type, numbers.many(std::size_t{kN} * kK));
    const auto weights = floats_of(type, blocks, std::size_t{kN} * kK);
    auto x = numbers.many(kK);
    x[325] = 50.0F;
    const auto without = quantized_inputs(x, false);
    Rig rig;
    const auto matrix = rig.matrix(type, kN, kK, blocks);
    const auto out = rig.linear(x, 1, *matrix);
    double error = 0.0;
    double error_without = 0.0;
    for (std::uint32_t n = 0; n < kN; ++n) {
      double expected = 0.0;
      double plain = 0.0;
      for (std::uint32_t k = 0; k < kK; ++k) {
        expected += static_cast<double>(x[k]) * static_cast<double>(weights[n * kK + k]);
        plain += without[k] * static_cast<double>(weights[n * kK + k]);
      }
      error += std::fabs(out[n] - expected);
      error_without += std::fabs(plain - expected);
    }
    EXPECT_LT(error * 5.0, error_without) << type_name(type);
  }
}

TEST(Linear, TreatsZeroAndTinyRowsAsZero) {
  Numbers numbers(3);
  for (const Isa isa : supported_isas()) {
    Rig rig(isa);
    const auto matrix = rig.matrix(TensorType::q4_1, 16, 64, blocks_of(TensorType::q4_1, numbers.many(16 * 64)));
    for (const float value : {0.0F, 1e-42F, -1e-35F})
      for (const float out : rig.linear(std::vector<float>(64, value), 1, *matrix)) ASSERT_EQ(out, 0.0F);
  }
}

TEST(Embed, ReadsTheSameValuesAsTheFileFormatDefines) {
  Numbers numbers(5);
  for (const TensorType type : all_types())
    for (const Numerics numerics : {Numerics::fast, Numerics::reference}) {
      Rig rig(Isa::automatic, 2, numerics);
      const auto blocks = blocks_of(type, numbers.many(std::size_t{37} * 256));
      const auto values = floats_of(type, blocks, std::size_t{37} * 256);
      const auto table = rig.matrix(type, 37, 256, blocks);
      const std::vector<std::int32_t> ids = {36, 0, 17, 17};
      Held in = rig.ints(ids);
      Held out = rig.empty(4, 256);
      rig.backend->embed(*rig.stream, *table, in.ref, 1.0F, out.ref);
      const auto got = rig.read(out);
      for (std::size_t i = 0; i < ids.size(); ++i)
        for (std::size_t c = 0; c < 256; ++c)
          ASSERT_EQ(got[i * 256 + c], values[static_cast<std::size_t>(ids[i]) * 256 + c]) << type_name(type);
    }
}

TEST(Weights, RefuseWrongSizesAndShapes) {
  Rig rig;
  const std::vector<std::byte> bytes(20 * 4);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::q4_1, 4, 32, bytes).has_value(), true);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::q4_1, 5, 32, bytes).error().code, Errc::shape_mismatch);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::q4_1, 4, 33, bytes).error().code, Errc::shape_mismatch);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::q4_1, 0, 32, {}).error().code, Errc::shape_mismatch);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::q4_k, 4, 32, bytes).error().code, Errc::shape_mismatch);
  EXPECT_EQ(rig.backend->make_matrix(TensorType::f32, UINT32_MAX, UINT32_MAX, bytes).error().code, Errc::shape_mismatch);
  EXPECT_EQ(rig.backend->make_matrix(static_cast<TensorType>(999), 4, 32, bytes).error().code, Errc::file_unsupported);
  EXPECT_EQ(rig.backend->make_vector(TensorType::f32, 3, bytes).error().code, Errc::shape_mismatch);
}

}  // namespace
}  // namespace troupe::backend::test
