#include "tests/support/shaped_model.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "common/gguf/writer.hpp"
#include "common/tensor/quant_formats.hpp"

namespace troupe {
namespace {

using gguf::TensorType;
using gguf::Writer;

constexpr std::string_view kChatTemplate =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// SplitMix64 [Steele et al. 2014]: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// In (-1, 1), a sum of four uniforms: bell-shaped, exact in float arithmetic.
  float bell() {
    const std::uint64_t bits = next();
    int sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int>((bits >> (16 * i)) & 0xFFFF);
    return static_cast<float>(sum - 2 * 0xFFFF) / static_cast<float>(2 * 0x10000);
  }

 private:
  std::uint64_t state_;
};

std::string utf8_of(std::uint32_t code) {
  std::string text;
  if (code < 0x80) {
    text.push_back(static_cast<char>(code));
  } else {
    text.push_back(static_cast<char>(0xC0 | (code >> 6)));
    text.push_back(static_cast<char>(0x80 | (code & 63)));
  }
  return text;
}

/// GPT-2's printable stand-ins for the 256 bytes.
std::array<std::string, 256> byte_letters() {
  std::array<std::string, 256> letters;
  std::uint32_t next = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    letters[byte] = utf8_of(printable ? byte : next++);
  }
  return letters;
}

void write_tokenizer(Writer& writer, std::uint32_t vocab) {
  const auto letters = byte_letters();
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<std::int32_t> types = {3, 3, 3};  // control
  for (const std::string& letter : letters) tokens.push_back(letter);
  static constexpr const char* kPairs[][2] = {{"t", "h"}, {"th", "e"}, {"i", "n"}, {"a", "n"}, {"e", "r"}, {"o", "n"}, {"r", "e"},
                                              {"an", "d"}, {"in", "g"}, {"o", "u"}, {"e", "s"}, {"s", "t"}};
  std::vector<std::string> merges;
  for (const auto& pair : kPairs) {
    merges.push_back(std::string(pair[0]).append(" ").append(pair[1]));
    tokens.push_back(std::string(pair[0]).append(pair[1]));
  }
  while (tokens.size() < vocab) tokens.push_back("<filler " + std::to_string(tokens.size()) + ">");
  types.resize(tokens.size(), 1);
  writer.set_string("tokenizer.ggml.model", "gpt2");
  writer.set_string("tokenizer.ggml.pre", "smollm");
  writer.set_strings("tokenizer.ggml.tokens", tokens);
  writer.set_i32s("tokenizer.ggml.token_type", types);
  writer.set_strings("tokenizer.ggml.merges", merges);
  writer.set_u32("tokenizer.ggml.bos_token_id", 1);
  writer.set_u32("tokenizer.ggml.eos_token_id", 2);
  writer.set_bool("tokenizer.ggml.add_bos_token", false);
  writer.set_string("tokenizer.chat_template", kChatTemplate);
}

void write_properties(Writer& writer, const ModelShape& s) {
  const std::string arch(s.architecture);
  writer.set_string("general.architecture", arch);
  writer.set_string("general.name", s.name);
  writer.set_u32(arch + ".block_count", s.layers);
  writer.set_u32(arch + ".context_length", s.context);
  writer.set_u32(arch + ".embedding_length", s.width);
  writer.set_u32(arch + ".feed_forward_length", s.ffn_width);
  writer.set_u32(arch + ".attention.head_count", s.heads);
  writer.set_u32(arch + ".attention.head_count_kv", s.kv_heads);
  writer.set_u32(arch + ".attention.key_length", s.key_dim);
  writer.set_u32(arch + ".attention.value_length", s.key_dim);
  writer.set_u32(arch + ".rope.dimension_count", s.key_dim);
  writer.set_f32(arch + ".rope.freq_base", s.rope_base);
  writer.set_f32(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  if (s.window != 0) writer.set_u32(arch + ".attention.sliding_window", s.window);
}

/// Adds tensors with values drawn from one stream per tensor, so that a tensor does not depend on those before it.
class TensorMaker {
 public:
  TensorMaker(Writer& writer, TensorType type, std::uint64_t seed) : writer_(writer), type_(type), seed_(seed) {}

  /// [n, k]; products of unit inputs have about `gain` deviation.
  void matrix(const std::string& name, std::uint32_t k, std::uint32_t n, float gain = 1.0f) {
    constexpr float kBellDeviation = 0.2887f;
    const float scale = gain / (kBellDeviation * std::sqrt(static_cast<float>(k)));
    const auto row_bytes = quantized_bytes(type_, k);
    if (!row_bytes) {
      if (!error_) error_ = Error{Errc::shape_mismatch, name + ": " + row_bytes.error().detail};
      return;
    }
    const std::uint64_t stream = next_stream();
    add(name, type_, {k, n}, [=, type = type_, bytes = *row_bytes](std::span<std::byte> out) {
      Random random(stream);
      std::vector<float> row(k);
      for (std::uint32_t i = 0; i < n; ++i) {
        for (float& value : row) value = random.bell() * scale;
        (void)quantize(type, row, out.subspan(i * bytes, bytes));
      }
    });
  }
  void vector(const std::string& name, std::uint32_t n, float centre, float spread) {
    const std::uint64_t stream = next_stream();
    add(name, TensorType::f32, {n}, [=](std::span<std::byte> out) {
      Random random(stream);
      std::vector<float> values(n);
      for (float& value : values) value = centre + random.bell() * spread;
      (void)quantize(TensorType::f32, values, out);
    });
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  std::uint64_t next_stream() { return Random(seed_ + 0x1000 * ++count_).next(); }
  void add(const std::string& name, TensorType type, std::vector<std::uint64_t> shape, Writer::Fill fill) {
    if (auto done = writer_.add_tensor(name, type, std::move(shape), std::move(fill)); !done && !error_) error_ = done.error();
  }
  Writer& writer_;
  TensorType type_;
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
  std::optional<Error> error_;
};

void add_layer(TensorMaker& make, const ModelShape& s, std::uint32_t layer) {
  const std::string at = "blk." + std::to_string(layer) + ".";
  const bool gemma = s.architecture == "gemma3", qk_norm = gemma || s.architecture == "qwen3";
  const std::uint32_t q = s.heads * s.key_dim, kv = s.kv_heads * s.key_dim;
  make.vector(at + "attn_norm.weight", s.width, 1.0f, 0.2f);
  make.matrix(at + "attn_q.weight", s.width, q, 1.5f);
  make.matrix(at + "attn_k.weight", s.width, kv, 1.5f);
  make.matrix(at + "attn_v.weight", s.width, kv);
  if (s.architecture == "qwen2") {
    make.vector(at + "attn_q.bias", q, 0.0f, 0.5f);
    make.vector(at + "attn_k.bias", kv, 0.0f, 0.5f);
    make.vector(at + "attn_v.bias", kv, 0.0f, 0.5f);
  }
  if (qk_norm) {
    make.vector(at + "attn_q_norm.weight", s.key_dim, 1.2f, 0.2f);
    make.vector(at + "attn_k_norm.weight", s.key_dim, 1.2f, 0.2f);
  }
  make.matrix(at + "attn_output.weight", q, s.width);
  if (gemma) make.vector(at + "post_attention_norm.weight", s.width, 0.7f, 0.2f);
  make.vector(at + "ffn_norm.weight", s.width, 1.0f, 0.2f);
  make.matrix(at + "ffn_gate.weight", s.width, s.ffn_width);
  make.matrix(at + "ffn_up.weight", s.width, s.ffn_width);
  make.matrix(at + "ffn_down.weight", s.ffn_width, s.width);
  if (gemma) make.vector(at + "post_ffw_norm.weight", s.width, 0.7f, 0.2f);
}

}  // namespace

const std::vector<ModelShape>& model_shapes() {
  //  name, architecture, layers, width, ffn, heads, kv heads, head width, vocab, context, window, rope base
  static const std::vector<ModelShape> shapes = {
      {"tiny-llama", "llama", 3, 128, 256, 4, 2, 32, 320, 1024, 0, 10000.0f},
      {"tiny-llama-k", "llama", 2, 256, 512, 4, 2, 64, 320, 1024, 0, 10000.0f},  // rows as wide as a K type's block
      {"tiny-gemma3", "gemma3", 6, 64, 128, 4, 1, 32, 320, 1024, 32, 1000000.0f},
      {"tiny-qwen2", "qwen2", 2, 128, 256, 4, 2, 32, 320, 1024, 0, 1000000.0f},
      {"tiny-qwen3", "qwen3", 2, 128, 256, 2, 1, 96, 320, 1024, 0, 1000000.0f},
      {"small-llama", "llama", 6, 256, 768, 4, 2, 64, 320, 8192, 0, 10000.0f},  // long contexts at little cost
      {"smollm2-135m", "llama", 30, 576, 1536, 9, 3, 64, 49152, 8192, 0, 100000.0f},
      {"1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 8192, 0, 500000.0f},
  };
  return shapes;
}

Expected<void> write_shaped_model(std::string_view shape, TensorType type, std::uint64_t seed, const std::filesystem::path& path) {
  const ModelShape* s = nullptr;
  std::string known;
  for (const ModelShape& candidate : model_shapes()) {
    if (candidate.name == shape) s = &candidate;
    known.append(known.empty() ? "" : ", ").append(candidate.name);
  }
  if (s == nullptr) return fail(Errc::invalid_argument, "shape '" + std::string(shape) + "' is not known; known: " + known);
  Writer writer;
  write_properties(writer, *s);
  write_tokenizer(writer, s->vocab);
  TensorMaker make(writer, type, seed);
  make.matrix("token_embd.weight", s->width, s->vocab, 2.0f);
  make.vector("output_norm.weight", s->width, 1.0f, 0.2f);
  for (std::uint32_t layer = 0; layer < s->layers; ++layer) add_layer(make, *s, layer);
  if (make.error()) return tl::unexpected<Error>(*make.error());
  return writer.save(path);
}

}  // namespace troupe
