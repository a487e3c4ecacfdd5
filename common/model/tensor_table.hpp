#pragma once
// Every tensor a model may have: name, shape and role in one table.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/gguf/gguf.hpp"
#include "common/model/config.hpp"

namespace troupe {

enum class TensorRole : std::uint8_t {
  token_embd, output_norm, output,
  attn_norm, attn_q, attn_k, attn_v, attn_q_bias, attn_k_bias, attn_v_bias, attn_q_norm, attn_k_norm, attn_output,
  attn_post_norm, ffn_norm, ffn_gate, ffn_up, ffn_down, ffn_post_norm,
};
inline constexpr std::size_t kTensorRoles = 19;

struct TensorSpec {
  TensorRole role;
  std::string name;                  ///< as in the file
  std::vector<std::uint64_t> shape;  ///< GGUF order: [K, N] for a matrix, [N] for a vector
};

/// The tensors of `layer`, or of the whole model for nullopt, that `config` calls for.
[[nodiscard]] std::vector<TensorSpec> tensor_specs(const ModelConfig& config, std::optional<std::uint32_t> layer);

}  // namespace troupe
