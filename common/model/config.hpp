#pragma once
// A decoder model by its properties. Code above asks for a property, never for a model's name.
#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

enum class PairStyle : std::uint8_t { none, adjacent, half };  ///< rope pairs (2i, 2i+1), or (i, i + d/2)
enum class GateActivation : std::uint8_t { silu, gelu_tanh };

/// One rotary basis. A model may have several (Gemma 3: local and global layers).
struct RopeSpec {
  std::uint32_t dims = 0;           ///< rotated leading channels of a head
  double base = 10000.0;
  double scale = 1.0;               ///< positions are multiplied by it
  std::vector<float> freq_factors;  ///< [dims / 2]; empty: all 1
};

struct ModelConfig {
  std::string architecture;            ///< as in the file; for display only
  std::uint32_t layers = 0;            ///< L
  std::uint32_t width = 0;             ///< D
  std::uint32_t ffn_width = 0;
  std::uint32_t heads = 0;             ///< H
  std::uint32_t kv_heads = 0;          ///< G, divides H
  std::uint32_t key_dim = 0;           ///< of a head
  std::uint32_t value_dim = 0;
  std::uint32_t vocab = 0;             ///< V
  std::uint32_t context_length = 0;    ///< trained
  float norm_eps = 1e-5f;
  bool qk_norm = false;                ///< RMS norm over each head's q and k
  bool post_norms = false;             ///< RMS norm of attention's and the ffn's result before the residual
  bool qkv_bias = false;
  bool tied_head = false;              ///< the head is the embedding table
  GateActivation activation = GateActivation::silu;
  PairStyle rope_style = PairStyle::adjacent;
  std::vector<RopeSpec> ropes;         ///< at least one
  std::vector<std::uint8_t> rope_of;   ///< [L] index into ropes
  std::vector<std::uint32_t> window;   ///< [L] keys a row sees at most; 0: all
  float embedding_scale = 1.0f;
  float attention_scale = 0.0f;        ///< of q.k
  float attention_softcap = 0.0f;      ///< 0: none
  float logit_softcap = 0.0f;          ///< 0: none
};

}  // namespace troupe
