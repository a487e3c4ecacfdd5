#pragma once
// A BERT of a few thousand random weights, as the bytes of its file.
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/backend/backend.hpp"
#include "common/encoder/bert_file.hpp"

namespace troupe::encoder {

inline BertConfig tiny_config() {
  return {2, 24, 40, 3, 48, 50, 2, 1e-12F};
}

/// Tensors by name: their shape and numbers.
using TinyTensors = std::map<std::string, std::pair<std::vector<std::uint64_t>, std::vector<float>>>;

inline TinyTensors tiny_tensors(const BertConfig& c, std::uint64_t seed = 5) {
  std::mt19937_64 random(seed);
  TinyTensors tensors;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape, float middle = 0.0F) {
    std::uint64_t count = 1;
    for (const std::uint64_t extent : shape) count *= extent;
    std::vector<float> values(count);
    for (float& value : values)
      value = middle + 0.4F * (static_cast<float>(random() >> 40) / 16777216.0F - 0.5F);
    tensors[name] = {std::move(shape), std::move(values)};
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {c.width}, 1.0F);
    add(name + ".bias", {c.width});
  };
  const auto dense = [&](const std::string& name, std::uint64_t n, std::uint64_t k) {
    add(name + ".weight", {n, k});
    add(name + ".bias", {n});
  };
  add("embeddings.word_embeddings.weight", {c.vocab, c.width});
  add("embeddings.position_embeddings.weight", {c.context, c.width});
  add("embeddings.token_type_embeddings.weight", {c.token_types, c.width});
  norm("embeddings.LayerNorm");
  dense("pooler.dense", c.width, c.width);
  for (std::uint32_t layer = 0; layer < c.layers; ++layer) {
    const std::string at = "encoder.layer." + std::to_string(layer) + ".";
    for (const char* part : {"query", "key", "value"}) dense(at + "attention.self." + part, c.width, c.width);
    dense(at + "attention.output.dense", c.width, c.width);
    norm(at + "attention.output.LayerNorm");
    dense(at + "intermediate.dense", c.ffn_width, c.width);
    dense(at + "output.dense", c.width, c.ffn_width);
    norm(at + "output.LayerNorm");
  }
  return tensors;
}

inline std::vector<std::byte> safetensors_of(const TinyTensors& tensors) {
  nlohmann::json header;
  std::vector<std::byte> data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size(), size = tensor.second.size() * sizeof(float);
    data.resize(begin + size);
    std::memcpy(data.data() + begin, tensor.second.data(), size);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.first}, {"data_offsets", {begin, begin + size}}};
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::vector<std::byte> bytes(sizeof length + text.size());
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, text.data(), text.size());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

/// The file with the bytes that it looks at.
struct TinyBert {
  explicit TinyBert(const BertConfig& config = tiny_config(),
                    const TinyTensors& tensors = tiny_tensors(tiny_config()))
      : bytes(safetensors_of(tensors)) {
    auto parsed = safetensors::File::parse(bytes, "tiny");
    EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : to_string(parsed.error()));
    auto checked = BertFile::check(*parsed, config);
    EXPECT_TRUE(checked.has_value()) << (checked ? "" : to_string(checked.error()));
    if (checked) file = *checked;
  }
  std::vector<std::byte> bytes;
  std::shared_ptr<const BertFile> file;
};

inline std::shared_ptr<backend::Backend> float_backend(backend::Isa isa = backend::Isa::automatic,
                                                       std::uint32_t threads = 1) {
  auto made =
      backend::make_cpu_backend({.threads = threads, .isa = isa, .numerics = backend::Numerics::reference});
  EXPECT_TRUE(made.has_value());
  return std::shared_ptr<backend::Backend>(std::move(*made));
}

}  // namespace troupe::encoder
