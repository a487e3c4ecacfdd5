#pragma once
// Seeded random models of a named shape, as GGUF files that serve end to end: for tests, and for speed at real sizes. Their
// text means nothing.
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe {

struct ModelShape {
  std::string_view name;
  std::string_view architecture;
  std::uint32_t layers, width, ffn_width, heads, kv_heads, key_dim, vocab, context, window;
  float rope_base;
};

[[nodiscard]] const std::vector<ModelShape>& model_shapes();

/// Writes the model; the same arguments give the same bytes. Matrices are of `type`, norms and biases F32. The tokenizer is
/// byte-level BPE with the 256 bytes, a few merges and ChatML's special tokens; the rest of the vocabulary is filled.
/// Errors: invalid_argument (an unknown shape is named with the known ones), shape_mismatch when a width is no multiple of
/// the type's block, io_failed.
[[nodiscard]] Expected<void> write_shaped_model(std::string_view shape, gguf::TensorType type, std::uint64_t seed,
                                                const std::filesystem::path& path);

}  // namespace troupe
