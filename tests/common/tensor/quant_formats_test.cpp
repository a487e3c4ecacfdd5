#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/tensor/half.hpp"
#include "common/tensor/quant_formats.hpp"

namespace troupe {
namespace {

using gguf::TensorType;

std::vector<std::byte> from_hex(const std::string& text) {
  std::vector<std::byte> out(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return out;
}

std::vector<TensorType> all_types() {
  std::vector<TensorType> out;
  for (std::uint32_t number = 0; number < 64; ++number)
    if (const auto* info = gguf::tensor_type_info(number)) out.push_back(info->type);
  return out;
}

std::string name_of(TensorType type) {
  return std::string(gguf::tensor_type_info(static_cast<std::uint32_t>(type))->name);
}

/// tests/golden/quant_blocks.txt: type name to (blocks, floats as bytes).
std::map<std::string, std::pair<std::vector<std::byte>, std::vector<std::byte>>> read_golden() {
  std::map<std::string, std::pair<std::vector<std::byte>, std::vector<std::byte>>> golden;
  std::ifstream in("tests/golden/quant_blocks.txt");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string name, blocks, floats;
    fields >> name >> blocks >> floats;
    golden[name] = {from_hex(blocks), from_hex(floats)};
  }
  return golden;
}

class EveryType : public ::testing::TestWithParam<TensorType> {};

TEST_P(EveryType, DequantizesToTheReferenceBits) {
  const auto golden = read_golden();
  ASSERT_TRUE(golden.contains(name_of(GetParam())));
  const auto& [blocks, expected] = golden.at(name_of(GetParam()));
  std::vector<float> out(expected.size() / 4);
  ASSERT_GE(out.size(), 64U);
  ASSERT_TRUE(dequantize(GetParam(), blocks, out));
  EXPECT_EQ(std::memcmp(out.data(), expected.data(), expected.size()), 0);
}

TEST_P(EveryType, QuantizesWithinTheStepOfItsRange) {
  // Largest relative error against the block's magnitude: half a step of the worst code, with room for the
  // scales' bits.
  const std::map<TensorType, float> bound = {
      {TensorType::f32, 0.0F},   {TensorType::f16, 0.001F},  {TensorType::bf16, 0.005F},
      {TensorType::q4_0, 0.13F}, {TensorType::q4_1, 0.08F},  {TensorType::q5_0, 0.07F},
      {TensorType::q5_1, 0.04F}, {TensorType::q8_0, 0.005F}, {TensorType::q2_k, 0.40F},
      {TensorType::q3_k, 0.26F}, {TensorType::q4_k, 0.08F},  {TensorType::q5_k, 0.05F},
      {TensorType::q6_k, 0.035F}};
  std::mt19937 engine(7);
  std::vector<float> values(1024), back(values.size());
  for (float& v : values) v = static_cast<float>(engine() % 20001) / 10000.0F - 1.0F;
  std::vector<std::byte> blocks(*quantized_bytes(GetParam(), values.size()));
  ASSERT_TRUE(quantize(GetParam(), values, blocks));
  ASSERT_TRUE(dequantize(GetParam(), blocks, back));
  float worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) worst = std::max(worst, std::fabs(values[i] - back[i]));
  EXPECT_LE(worst, bound.at(GetParam()));
}

TEST_P(EveryType, KeepsZerosAndConstants) {
  std::vector<float> values(512, 0.0F), back(values.size(), 9.0F);
  std::vector<std::byte> blocks(*quantized_bytes(GetParam(), values.size()));
  ASSERT_TRUE(quantize(GetParam(), values, blocks));
  ASSERT_TRUE(dequantize(GetParam(), blocks, back));
  for (const float v : back) EXPECT_EQ(v, 0.0F);
  for (const float constant : {0.5F, -0.5F}) {
    std::fill(values.begin(), values.end(), constant);
    ASSERT_TRUE(quantize(GetParam(), values, blocks));
    ASSERT_TRUE(dequantize(GetParam(), blocks, back));
    for (const float v : back) EXPECT_NEAR(v, constant, 0.01F);
  }
}

TEST_P(EveryType, RefusesSpansThatDoNotAgree) {
  std::vector<float> values(256);
  std::vector<std::byte> blocks(*quantized_bytes(GetParam(), values.size()) + 1);
  EXPECT_EQ(dequantize(GetParam(), blocks, values).error().code, Errc::shape_mismatch);
  EXPECT_EQ(quantize(GetParam(), values, blocks).error().code, Errc::shape_mismatch);
}

INSTANTIATE_TEST_SUITE_P(Types, EveryType, ::testing::ValuesIn(all_types()),
                         [](const auto& chosen) { return name_of(chosen.param); });

TEST(QuantFormats, RefusesAPartOfABlock) {
  const auto bytes = quantized_bytes(TensorType::q4_k, 128);
  ASSERT_FALSE(bytes);
  EXPECT_THAT(bytes.error().detail,
              ::testing::HasSubstr("found 128 elements of Q4_K, expected a multiple of 256"));
}

}  // namespace
}  // namespace troupe
