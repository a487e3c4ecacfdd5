#pragma once
// A model's weights in a backend's packed form.
#include <functional>
#include <memory>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/model/model.hpp"

namespace troupe::engine {

using WeightPtr = std::unique_ptr<backend::Weight>;

/// Null where the model's properties call for no such tensor.
struct LayerWeights {
  WeightPtr attn_norm, q, k, v, q_bias, k_bias, v_bias, q_norm, k_norm, attn_output, attn_post_norm;
  WeightPtr ffn_norm, gate, up, down, ffn_post_norm;
};

struct ModelWeights {
  WeightPtr token_embd, output_norm, output;  ///< output is null when the head is tied
  std::vector<LayerWeights> layers;
  [[nodiscard]] const backend::Weight& head() const { return output ? *output : *token_embd; }
};

/// Errors: does_not_fit, file_unsupported.
[[nodiscard]] Expected<ModelWeights> pack_weights(const Model& model, backend::Backend& backend,
                                                  const std::function<void(double)>& on_load);

}  // namespace troupe::engine
