#include "common/model/tensor_table.hpp"

namespace troupe {
namespace {

using Size = std::uint64_t;
using Needed = bool (*)(const ModelConfig&);

struct Row {
  TensorRole role;
  bool per_layer;
  const char* suffix;
  Size (*k)(const ModelConfig&);  ///< inputs; null for a vector
  Size (*n)(const ModelConfig&);  ///< outputs, or a vector's length
  Needed needed;                  ///< null: always
};

Size width(const ModelConfig& c) { return c.width; }
Size ffn(const ModelConfig& c) { return c.ffn_width; }
Size vocab(const ModelConfig& c) { return c.vocab; }
Size key(const ModelConfig& c) { return c.key_dim; }
Size all_q(const ModelConfig& c) { return Size{c.heads} * c.key_dim; }
Size all_k(const ModelConfig& c) { return Size{c.kv_heads} * c.key_dim; }
Size all_v(const ModelConfig& c) { return Size{c.kv_heads} * c.value_dim; }
Size attended(const ModelConfig& c) { return Size{c.heads} * c.value_dim; }
bool biased(const ModelConfig& c) { return c.qkv_bias; }
bool qk_normed(const ModelConfig& c) { return c.qk_norm; }
bool post_normed(const ModelConfig& c) { return c.post_norms; }
bool own_head(const ModelConfig& c) { return !c.tied_head; }

constexpr Row kRows[] = {
    {TensorRole::token_embd, false, "token_embd.weight", width, vocab, nullptr},
    {TensorRole::output_norm, false, "output_norm.weight", nullptr, width, nullptr},
    {TensorRole::output, false, "output.weight", width, vocab, own_head},
    {TensorRole::attn_norm, true, "attn_norm.weight", nullptr, width, nullptr},
    {TensorRole::attn_q, true, "attn_q.weight", width, all_q, nullptr},
    {TensorRole::attn_k, true, "attn_k.weight", width, all_k, nullptr},
    {TensorRole::attn_v, true, "attn_v.weight", width, all_v, nullptr},
    {TensorRole::attn_q_bias, true, "attn_q.bias", nullptr, all_q, biased},
    {TensorRole::attn_k_bias, true, "attn_k.bias", nullptr, all_k, biased},
    {TensorRole::attn_v_bias, true, "attn_v.bias", nullptr, all_v, biased},
    {TensorRole::attn_q_norm, true, "attn_q_norm.weight", nullptr, key, qk_normed},
    {TensorRole::attn_k_norm, true, "attn_k_norm.weight", nullptr, key, qk_normed},
    {TensorRole::attn_output, true, "attn_output.weight", attended, width, nullptr},
    {TensorRole::attn_post_norm, true, "post_attention_norm.weight", nullptr, width, post_normed},
    {TensorRole::ffn_norm, true, "ffn_norm.weight", nullptr, width, nullptr},
    {TensorRole::ffn_gate, true, "ffn_gate.weight", width, ffn, nullptr},
    {TensorRole::ffn_up, true, "ffn_up.weight", width, ffn, nullptr},
    {TensorRole::ffn_down, true, "ffn_down.weight", ffn, width, nullptr},
    {TensorRole::ffn_post_norm, true, "post_ffw_norm.weight", nullptr, width, post_normed},
};
static_assert(std::size(kRows) == kTensorRoles);

}  // namespace

std::vector<TensorSpec> tensor_specs(const ModelConfig& config, std::optional<std::uint32_t> layer) {
  std::vector<TensorSpec> specs;
  for (const Row& row : kRows) {
    if (row.per_layer != layer.has_value()) continue;
    if (row.needed != nullptr && !row.needed(config)) continue;
    TensorSpec spec{row.role, row.suffix, {}};
    if (layer) spec.name = "blk." + std::to_string(*layer) + "." + spec.name;
    if (row.k != nullptr) spec.shape.push_back(row.k(config));
    spec.shape.push_back(row.n(config));
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace troupe
