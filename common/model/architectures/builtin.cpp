#include <cmath>

#include "common/model/architectures/architecture.hpp"

namespace troupe {
namespace {

Expected<void> llama(const gguf::File&, ModelConfig& config) {
  config.rope_style = PairStyle::adjacent;  // the converter permutes q and k rows for this
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

// Every sixth layer sees everything with the file's rope base; the others see a window with base 10,000.
Expected<void> gemma3(const gguf::File& file, ModelConfig& config) {
  constexpr std::uint32_t kPeriod = 6;
  const auto window = number_or(file, config, "attention.sliding_window", 512);
  TROUPE_TRY(window);
  const auto local_base = number_or(file, config, "rope.freq_base_swa", 10000.0);
  TROUPE_TRY(local_base);
  config.rope_style = PairStyle::half;
  config.qk_norm = true;
  config.post_norms = true;
  config.activation = GateActivation::gelu_tanh;
  config.embedding_scale = std::sqrt(static_cast<float>(config.width));
  RopeSpec local = config.ropes[0];
  local.base = *local_base;
  local.scale = 1.0;  // long-context scaling is for the global layers
  config.ropes.push_back(local);
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    const bool global = layer % kPeriod == kPeriod - 1;
    config.window[layer] = global ? 0 : static_cast<std::uint32_t>(*window);
    config.rope_of[layer] = global ? 0 : 1;
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
