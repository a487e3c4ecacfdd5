#include "common/engine/layer_weights.hpp"

namespace troupe::engine {
namespace {

class Packer {
 public:
  Packer(const Model& model, backend::Backend& backend, const std::function<void(double)>& on_load)
      : model_(model), backend_(backend), on_load_(on_load) {}

  Expected<void> pack(TensorRole role, std::uint32_t layer, WeightPtr& to) {
    const gguf::Tensor* tensor = model_.find(role, layer);
    if (tensor == nullptr) return {};
    const auto k = static_cast<std::uint32_t>(tensor->shape[0]);
    const bool matrix = tensor->shape.size() > 1 && tensor->shape[1] > 1;
    auto weight = matrix ? backend_.make_matrix(tensor->type, static_cast<std::uint32_t>(tensor->shape[1]), k, tensor->data)
                         : backend_.make_vector(tensor->type, k, tensor->data);
    if (!weight) {
      return fail(weight.error().code, model_.file().path().string() + ": tensor " + tensor->name + ": " + weight.error().detail);
    }
    to = std::move(*weight);
    model_.file().release(*tensor);
    done_ += tensor->data.size();
    if (on_load_) on_load_(static_cast<double>(done_) / static_cast<double>(model_.weight_bytes()));
    return {};
  }

 private:
  const Model& model_;
  backend::Backend& backend_;
  const std::function<void(double)>& on_load_;
  std::uint64_t done_ = 0;
};

struct LayerRow {
  TensorRole role;
  WeightPtr LayerWeights::*field;
};

constexpr LayerRow kLayerRows[] = {
    {TensorRole::attn_norm, &LayerWeights::attn_norm},
    {TensorRole::attn_q, &LayerWeights::q},
    {TensorRole::attn_k, &LayerWeights::k},
    {TensorRole::attn_v, &LayerWeights::v},
    {TensorRole::attn_q_bias, &LayerWeights::q_bias},
    {TensorRole::attn_k_bias, &LayerWeights::k_bias},
    {TensorRole::attn_v_bias, &LayerWeights::v_bias},
    {TensorRole::attn_q_norm, &LayerWeights::q_norm},
    {TensorRole::attn_k_norm, &LayerWeights::k_norm},
    {TensorRole::attn_output, &LayerWeights::attn_output},
    {TensorRole::attn_post_norm, &LayerWeights::attn_post_norm},
    {TensorRole::ffn_norm, &LayerWeights::ffn_norm},
    {TensorRole::ffn_gate, &LayerWeights::gate},
    {TensorRole::ffn_up, &LayerWeights::up},
    {TensorRole::ffn_down, &LayerWeights::down},
    {TensorRole::ffn_post_norm, &LayerWeights::ffn_post_norm},
};

}  // namespace

Expected<ModelWeights> pack_weights(const Model& model, backend::Backend& backend, const std::function<void(double)>& on_load) {
  ModelWeights weights;
  Packer packer(model, backend, on_load);
  TROUPE_TRY(packer.pack(TensorRole::token_embd, 0, weights.token_embd));
  TROUPE_TRY(packer.pack(TensorRole::output_norm, 0, weights.output_norm));
  TROUPE_TRY(packer.pack(TensorRole::output, 0, weights.output));
  weights.layers.resize(model.config().layers);
  for (std::uint32_t layer = 0; layer < model.config().layers; ++layer)
    for (const LayerRow& row : kLayerRows) TROUPE_TRY(packer.pack(row.role, layer, weights.layers[layer].*row.field));
  return weights;
}

}  // namespace troupe::engine
