#include <array>

#include "common/gguf/gguf.hpp"

namespace troupe::gguf {
namespace {

constexpr std::array kTypes = {
    TensorTypeInfo{TensorType::f32, "F32", 1, 4},       TensorTypeInfo{TensorType::f16, "F16", 1, 2},
    TensorTypeInfo{TensorType::q4_0, "Q4_0", 32, 18},   TensorTypeInfo{TensorType::q4_1, "Q4_1", 32, 20},
    TensorTypeInfo{TensorType::q5_0, "Q5_0", 32, 22},   TensorTypeInfo{TensorType::q5_1, "Q5_1", 32, 24},
    TensorTypeInfo{TensorType::q8_0, "Q8_0", 32, 34},   TensorTypeInfo{TensorType::q2_k, "Q2_K", 256, 84},
    TensorTypeInfo{TensorType::q3_k, "Q3_K", 256, 110}, TensorTypeInfo{TensorType::q4_k, "Q4_K", 256, 144},
    TensorTypeInfo{TensorType::q5_k, "Q5_K", 256, 176}, TensorTypeInfo{TensorType::q6_k, "Q6_K", 256, 210},
    TensorTypeInfo{TensorType::bf16, "BF16", 1, 2},
};

}  // namespace

const TensorTypeInfo* tensor_type_info(std::uint32_t number) {
  for (const TensorTypeInfo& info : kTypes)
    if (static_cast<std::uint32_t>(info.type) == number) return &info;
  return nullptr;
}

std::uint64_t Tensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t dimension : shape) product *= dimension;
  return product;
}

}  // namespace troupe::gguf
