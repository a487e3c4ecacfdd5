#pragma once
// A small model file of any architecture, whose keys and tensors a test may add, change or drop before it is written.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/gguf/writer.hpp"
#include "common/model/model.hpp"

namespace troupe::testing {

struct ModelFile {
  using Value = std::variant<std::uint32_t, std::int32_t, float, std::string, std::vector<bool>>;
  std::string arch;
  std::map<std::string, Value> keys;                              ///< without the architecture's prefix, unless "general."
  std::map<std::string, std::vector<std::uint64_t>> tensors;     ///< F32
  std::map<std::string, float> fill;                              ///< of every element; 0 where absent

  explicit ModelFile(std::string name, std::uint32_t layers = 2) : arch(std::move(name)) {
    keys = {{"general.architecture", arch}, {"block_count", layers}, {"embedding_length", 8u}, {"feed_forward_length", 16u},
            {"attention.head_count", 2u}, {"attention.head_count_kv", 1u}, {"attention.key_length", 6u},
            {"context_length", 128u}};
    tensors = {{"token_embd.weight", {8, 10}}, {"output_norm.weight", {8}}};
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      const std::string at = "blk." + std::to_string(layer) + ".";
      tensors[at + "attn_norm.weight"] = tensors[at + "ffn_norm.weight"] = {8};
      tensors[at + "attn_q.weight"] = {8, 12};
      tensors[at + "attn_k.weight"] = tensors[at + "attn_v.weight"] = {8, 6};
      tensors[at + "attn_output.weight"] = {12, 8};
      tensors[at + "ffn_gate.weight"] = tensors[at + "ffn_up.weight"] = {8, 16};
      tensors[at + "ffn_down.weight"] = {16, 8};
      if (arch == "gemma3") tensors[at + "post_attention_norm.weight"] = tensors[at + "post_ffw_norm.weight"] = {8};
      if (arch == "gemma3" || arch == "qwen3") tensors[at + "attn_q_norm.weight"] = tensors[at + "attn_k_norm.weight"] = {6};
      if (arch == "qwen2") add_biases(at);
    }
  }

  void add_biases(const std::string& at) {
    tensors[at + "attn_q.bias"] = {12};
    tensors[at + "attn_k.bias"] = tensors[at + "attn_v.bias"] = {6};
  }
  ModelFile& set(const std::string& key, Value value) {
    keys[key] = std::move(value);
    return *this;
  }
  ModelFile& drop(const std::string& key) {
    keys.erase(key);
    return *this;
  }
  ModelFile& tensor(const std::string& name, std::vector<std::uint64_t> shape, float value = 0) {
    tensors[name] = std::move(shape);
    fill[name] = value;
    return *this;
  }
  ModelFile& drop_tensor(const std::string& name) {
    tensors.erase(name);
    return *this;
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    gguf::Writer writer;
    for (const auto& [key, value] : keys) {
      const std::string full = key.starts_with("general.") ? key : arch + "." + key;
      std::visit([&](const auto& v) { write(writer, full, v); }, value);
    }
    for (const auto& [name, shape] : tensors) {
      const float value = fill.contains(name) ? fill.at(name) : 0.0f;
      const auto added = writer.add_tensor(name, gguf::TensorType::f32, shape, [value](std::span<std::byte> out) {
        for (std::size_t at = 0; at < out.size(); at += sizeof value) std::memcpy(out.data() + at, &value, sizeof value);
      });
      TROUPE_CHECK(added.has_value(), "the test asks for a shape that cannot be written");
    }
    return writer.bytes();
  }

 private:
  static void write(gguf::Writer& w, const std::string& key, std::uint32_t v) { w.set_u32(key, v); }
  static void write(gguf::Writer& w, const std::string& key, std::int32_t v) { w.set_i32(key, v); }
  static void write(gguf::Writer& w, const std::string& key, float v) { w.set_f32(key, v); }
  static void write(gguf::Writer& w, const std::string& key, const std::string& v) { w.set_string(key, v); }
  static void write(gguf::Writer& w, const std::string& key, const std::vector<bool>& v) { w.set_bools(key, v); }
};

/// A model with the bytes it points into.
struct LoadedModel {
  std::vector<std::byte> bytes;
  Expected<std::shared_ptr<const Model>> model;

  explicit LoadedModel(const ModelFile& file) : bytes(file.bytes()), model(load(bytes)) {}
  [[nodiscard]] const Model& operator*() const { return **model; }

 private:
  static Expected<std::shared_ptr<const Model>> load(std::span<const std::byte> bytes) {
    auto file = gguf::File::parse(bytes, "m.gguf");
    if (!file) return tl::unexpected(file.error());
    return Model::from_file(std::move(*file));
  }
};

}  // namespace troupe::testing
