#include <cmath>
#include <string>

#include "common/model/architectures/architecture.hpp"

namespace troupe {
namespace {

Expected<void> llama(const gguf::File& file, ModelConfig& config) {
  config.rope_style = PairStyle::adjacent;  // the converter permutes q and k rows for this
  config.qkv_bias = file.tensor("blk.0.attn_q.bias") != nullptr;  // some relatives have them
  return {};
}

Expected<void> qwen2(const gguf::File&, ModelConfig& config) {
  config.rope_style = PairStyle::half;
  config.qkv_bias = true;
  return {};
}

Expected<void> qwen3(const gguf::File&, ModelConfig& config) {
  config.rope_style = PairStyle::half;
  config.qk_norm = true;
  return {};
}

// Which layers see only a window: from the file where it says so, else all but every sixth.
Expected<std::vector<bool>> windowed_layers(const gguf::File& file, const ModelConfig& config) {
  const std::string key = config.architecture + ".attention.sliding_window_pattern";
  if (const auto flags = file.bool_array(key); flags && flags->has_value()) {
    if ((*flags)->size() == config.layers) return **flags;
    return fail(Errc::file_malformed, file.path().string() + ": " + key + " has " + std::to_string((*flags)->size()) +
                                          " elements, expected " + std::to_string(config.layers));
  }
  const auto period = whole_or(file, config, "attention.sliding_window_pattern", 6, 1, 1024);
  TROUPE_TRY(period);
  std::vector<bool> windowed(config.layers);
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) windowed[layer] = layer % *period != *period - 1;
  return windowed;
}

// Layers that see everything use the file's rope base; those with a window use base 10,000.
Expected<void> gemma3(const gguf::File& file, ModelConfig& config) {
  constexpr std::uint32_t kLayersOf27b = 62;
  const auto window = whole_or(file, config, "attention.sliding_window", 512, 1, 1u << 24);
  TROUPE_TRY(window);
  const auto windowed = windowed_layers(file, config);
  TROUPE_TRY(windowed);
  const auto local_base = number_or(file, config, "rope.freq_base_swa", 10000.0);
  TROUPE_TRY(local_base);
  config.rope_style = PairStyle::half;
  config.qk_norm = true;
  config.post_norms = true;
  config.activation = GateActivation::gelu_tanh;
  // The largest of the family divides q.k by the root of width / heads instead of the head size; no key says so.
  if (config.layers == kLayersOf27b)
    config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.width) / static_cast<float>(config.heads));
  config.embedding_scale = std::sqrt(static_cast<float>(config.width));
  if (!(*local_base > 1.0))
    return fail(Errc::file_malformed, file.path().string() + ": " + config.architecture + ".rope.freq_base_swa is " +
                                          std::to_string(*local_base) + ", expected more than 1");
  RopeSpec local = config.ropes[0];
  local.base = *local_base;
  local.scale = 1.0;  // long-context scaling is for the global layers
  config.ropes.push_back(local);
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    config.window[layer] = (*windowed)[layer] ? *window : 0;
    config.rope_of[layer] = (*windowed)[layer] ? 1 : 0;
  }
  return {};
}

}  // namespace

const std::vector<ArchitectureEntry>& builtin_architectures() {
  static const std::vector<ArchitectureEntry> entries = {
      {"llama", "RMS norm, SwiGLU, rotary pairs side by side", "Touvron et al. 2023, arXiv:2302.13971", llama},
      {"gemma3", "q/k norm, norms after each part, windows on five layers of six", "Gemma 3 report 2025, arXiv:2503.19786", gemma3},
      {"qwen2", "llama with biases on q, k and v", "Qwen2 report 2024, arXiv:2407.10671", qwen2},
      {"qwen3", "llama with q/k norm and its own head size", "Qwen3 report 2025, arXiv:2505.09388", qwen3},
  };
  return entries;
}

}  // namespace troupe
