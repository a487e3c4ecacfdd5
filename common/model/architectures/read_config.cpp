#include <cmath>
#include <cstring>

#include "common/model/architectures/architecture.hpp"

namespace troupe {
namespace {

constexpr std::uint64_t kMaxLayers = 1024;
constexpr std::uint64_t kMaxWidth = 1u << 18;
constexpr std::uint64_t kMaxHeadDim = 1024;
constexpr std::uint64_t kMaxVocab = 1u << 22;
constexpr std::uint64_t kMaxContext = 1u << 24;
constexpr double kLeastFactor = 1e-3, kMostFactor = 1e6;

std::string place(const gguf::File& file, const std::string& key) { return file.path().string() + ": " + key; }

// A whole number within bounds; `fallback` < 0 means the key is required.
Expected<std::uint32_t> whole(const gguf::File& file, const std::string& key, std::int64_t fallback, std::uint64_t low,
                              std::uint64_t high) {
  const auto value = file.unsigned_value(key);
  TROUPE_TRY(value);
  if (!value->has_value()) {
    if (fallback < 0) return fail(Errc::file_malformed, place(file, key) + " is missing, expected a whole number");
    return static_cast<std::uint32_t>(fallback);
  }
  if (**value < low || **value > high) {
    return fail(Errc::file_malformed, place(file, key) + " is " + std::to_string(**value) + ", expected " +
                                          std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<std::uint32_t>(**value);
}

Expected<void> read_sizes(const gguf::File& file, const std::string& arch, ModelConfig& c) {
  struct Size {
    const char* key;
    std::uint32_t ModelConfig::*field;
    std::uint64_t high;
  };
  const Size required[] = {{".block_count", &ModelConfig::layers, kMaxLayers},
                           {".embedding_length", &ModelConfig::width, kMaxWidth},
                           {".feed_forward_length", &ModelConfig::ffn_width, kMaxWidth},
                           {".attention.head_count", &ModelConfig::heads, 4096},
                           {".context_length", &ModelConfig::context_length, kMaxContext}};
  for (const Size& size : required) {
    const auto value = whole(file, arch + size.key, -1, 1, size.high);
    TROUPE_TRY(value);
    c.*size.field = *value;
  }
  const auto kv_heads = whole(file, arch + ".attention.head_count_kv", c.heads, 1, c.heads);
  TROUPE_TRY(kv_heads);
  c.kv_heads = *kv_heads;
  if (c.heads % c.kv_heads != 0) {
    return fail(Errc::file_malformed, place(file, arch + ".attention.head_count_kv") + " is " + std::to_string(c.kv_heads) +
                                          ", expected a divisor of head_count " + std::to_string(c.heads));
  }
  const auto key_dim = whole(file, arch + ".attention.key_length", c.width / c.heads, 2, kMaxHeadDim);
  TROUPE_TRY(key_dim);
  const auto value_dim = whole(file, arch + ".attention.value_length", *key_dim, 1, kMaxHeadDim);
  TROUPE_TRY(value_dim);
  c.key_dim = *key_dim;
  c.value_dim = *value_dim;
  // Also when it comes from the fallback: width / heads is not yet within bounds.
  if (c.key_dim < 2 || c.key_dim > kMaxHeadDim || c.key_dim % 2 != 0) {
    return fail(Errc::file_malformed, place(file, arch + ".attention.key_length") + " is " + std::to_string(c.key_dim) +
                                          ", expected an even number from 2 to " + std::to_string(kMaxHeadDim));
  }
  return {};
}

Expected<void> read_vocab(const gguf::File& file, ModelConfig& c) {
  const gguf::Tensor* table = file.tensor("token_embd.weight");
  if (table == nullptr)
    return fail(Errc::file_malformed, place(file, "tensor token_embd.weight") + " is missing, expected shape [width, vocab]");
  if (table->shape.size() != 2 || table->shape[1] < 2 || table->shape[1] > kMaxVocab) {
    return fail(Errc::file_malformed, place(file, "tensor token_embd.weight") + " has " + std::to_string(table->shape.size()) +
                                          " dimensions and " + std::to_string(table->shape.back()) +
                                          " rows, expected 2 dimensions and 2 to " + std::to_string(kMaxVocab) + " rows");
  }
  c.vocab = static_cast<std::uint32_t>(table->shape[1]);
  c.tied_head = file.tensor("output.weight") == nullptr;
  return {};
}

Expected<void> read_rope(const gguf::File& file, const std::string& arch, ModelConfig& c) {
  RopeSpec rope;
  const auto dims = whole(file, arch + ".rope.dimension_count", c.key_dim, 2, c.key_dim);
  TROUPE_TRY(dims);
  const auto base = number_or(file, c, "rope.freq_base", 10000.0);
  TROUPE_TRY(base);
  const auto kind = file.string_value(arch + ".rope.scaling.type");
  TROUPE_TRY(kind);
  const auto factor = number_or(file, c, "rope.scaling.factor", 1.0);
  TROUPE_TRY(factor);
  if (*dims % 2 != 0)
    return fail(Errc::file_malformed, place(file, arch + ".rope.dimension_count") + " is " + std::to_string(*dims) + ", expected an even number");
  if (!(*base > 1.0))
    return fail(Errc::file_malformed, place(file, arch + ".rope.freq_base") + " is " + std::to_string(*base) + ", expected more than 1");
  if (!(*factor >= kLeastFactor && *factor <= kMostFactor))
    return fail(Errc::file_malformed, place(file, arch + ".rope.scaling.factor") + " is " + std::to_string(*factor) + ", expected 0.001 to 1000000");
  rope.dims = *dims;
  rope.base = *base;
  if (kind->has_value() && **kind == "linear") rope.scale = 1.0 / *factor;
  else if (kind->has_value() && **kind != "none")
    return fail(Errc::file_unsupported, place(file, arch + ".rope.scaling.type") + " is '" + std::string(**kind) + "', known: none, linear");
  if (const gguf::Tensor* factors = file.tensor("rope_freqs.weight")) {
    if (factors->type != gguf::TensorType::f32 || factors->elements() != rope.dims / 2)
      return fail(Errc::file_malformed, place(file, "tensor rope_freqs.weight") + " has " + std::to_string(factors->elements()) +
                                            " elements, expected F32 of " + std::to_string(rope.dims / 2) + " elements");
    rope.freq_factors.resize(rope.dims / 2);
    std::memcpy(rope.freq_factors.data(), factors->data.data(), rope.freq_factors.size() * sizeof(float));
    for (const float value : rope.freq_factors)
      if (!(value > 0.0f && std::isfinite(value)))
        return fail(Errc::file_malformed, place(file, "tensor rope_freqs.weight") + " holds " + std::to_string(value) + ", expected positive factors");
  }
  c.ropes = {rope};
  return {};
}

Expected<void> read_numbers(const gguf::File& file, ModelConfig& c) {
  struct Number {
    const char* key;
    float ModelConfig::*field;
    double fallback, low, high;
  };
  const Number numbers[] = {{"attention.layer_norm_rms_epsilon", &ModelConfig::norm_eps, 1e-5, 1e-12, 1.0},
                            {"attn_logit_softcapping", &ModelConfig::attention_softcap, 0.0, 0.0, 1e6},
                            {"final_logit_softcapping", &ModelConfig::logit_softcap, 0.0, 0.0, 1e6}};
  for (const Number& number : numbers) {
    const auto value = number_or(file, c, number.key, number.fallback);
    TROUPE_TRY(value);
    if (*value < number.low || *value > number.high) {
      return fail(Errc::file_malformed, place(file, c.architecture + "." + number.key) + " is " + std::to_string(*value) +
                                            ", expected " + std::to_string(number.low) + " to " + std::to_string(number.high));
    }
    c.*number.field = static_cast<float>(*value);
  }
  return {};
}

}  // namespace

Expected<std::uint32_t> whole_or(const gguf::File& file, const ModelConfig& config, std::string_view key,
                                 std::uint32_t fallback, std::uint32_t low, std::uint32_t high) {
  return whole(file, config.architecture + "." + std::string(key), fallback, low, high);
}

Expected<double> number_or(const gguf::File& file, const ModelConfig& config, std::string_view key, double fallback) {
  const std::string full = config.architecture + "." + std::string(key);
  const auto value = file.float_value(full);
  if (value) {
    if (!value->has_value()) return fallback;
    if (!std::isfinite(**value)) return fail(Errc::file_malformed, place(file, full) + " is not finite");
    return **value;
  }
  const auto integer = file.unsigned_value(full);  // some writers store whole numbers as integers
  TROUPE_TRY(integer);
  return integer->has_value() ? static_cast<double>(**integer) : fallback;
}

Expected<ModelConfig> read_config(const gguf::File& file) {
  const auto arch = file.string_value("general.architecture");
  TROUPE_TRY(arch);
  if (!arch->has_value()) return fail(Errc::file_malformed, place(file, "general.architecture") + " is missing");
  const ArchitectureEntry* entry = nullptr;
  std::string known;
  for (const ArchitectureEntry& candidate : builtin_architectures()) {
    if (candidate.name == **arch) entry = &candidate;
    known.append(known.empty() ? "" : ", ").append(candidate.name);
  }
  if (entry == nullptr)
    return fail(Errc::file_unsupported, place(file, "general.architecture") + " is '" + std::string(**arch) + "', known: " + known);

  ModelConfig config;
  config.architecture = **arch;
  TROUPE_TRY(read_sizes(file, config.architecture, config));
  TROUPE_TRY(read_vocab(file, config));
  TROUPE_TRY(read_rope(file, config.architecture, config));
  TROUPE_TRY(read_numbers(file, config));
  config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.key_dim));
  config.rope_of.assign(config.layers, 0);
  config.window.assign(config.layers, 0);
  TROUPE_TRY(entry->specialise(file, config));
  return config;
}

}  // namespace troupe
