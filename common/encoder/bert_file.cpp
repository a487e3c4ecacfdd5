#include "common/encoder/bert_file.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/hash.hpp"
#include "common/tensor/half.hpp"

namespace troupe::encoder {
namespace {

using nlohmann::json;
using safetensors::Tensor;
using safetensors::Type;

constexpr std::uintmax_t kMostConfigBytes = 1U << 20;
constexpr std::string_view kPrefix = "bert.";  // before each name, in files of a BERT with a head

tl::unexpected<Error> malformed(const std::string& file, const std::string& what) {
  return fail(Errc::file_malformed, file + ": " + what);
}

/// Reads keys one after another and keeps the first error.
class Properties {
 public:
  Properties(const json& object, std::string file) : object_(object), file_(std::move(file)) {}
  std::uint32_t count(const char* key, std::uint32_t most) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->is_number_unsigned()) {
      const auto value = found->get<std::uint64_t>();
      if (value >= 1 && value <= most) return static_cast<std::uint32_t>(value);
    }
    set_error(Errc::file_malformed,
              std::string(key) + " is " + text(key) + ", expected 1 to " + std::to_string(most));
    return 1;
  }
  float real(const char* key) {
    const auto found = object_.find(key);
    const double value = found != object_.end() && found->is_number() ? found->get<double>() : -1;
    if (!(value > 0 && value < 1))
      set_error(Errc::file_malformed, std::string(key) + " is " + text(key) + ", expected a fraction");
    return static_cast<float>(value);
  }
  void is(const char* key, std::string_view wanted, bool required) {
    const auto found = object_.find(key);
    if (found == object_.end() && !required) return;
    if (found != object_.end() && found->is_string() && found->get_ref<const std::string&>() == wanted)
      return;
    set_error(Errc::file_unsupported,
              std::string(key) + " is " + text(key) + ", expected \"" + std::string(wanted) + "\"");
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  std::string text(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? "missing"
                                  : found->dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80);
  }
  void set_error(Errc code, const std::string& what) {
    if (!error_) error_ = Error{code, file_ + ": " + what};
  }
  const json& object_;
  const std::string file_;
  std::optional<Error> error_;
};

struct Spec {
  const char* name;
  std::vector<std::uint64_t> shape;
};

/// In the order of BertTensor.
std::vector<Spec> whole_specs(const BertConfig& c) {
  return {{"embeddings.word_embeddings.weight", {c.vocab, c.width}},
          {"embeddings.position_embeddings.weight", {c.context, c.width}},
          {"embeddings.token_type_embeddings.weight", {c.token_types, c.width}},
          {"embeddings.LayerNorm.weight", {c.width}},
          {"embeddings.LayerNorm.bias", {c.width}}};
}

/// In the order of LayerTensor.
std::vector<Spec> layer_specs(const BertConfig& c) {
  return {{"attention.self.query.weight", {c.width, c.width}},
          {"attention.self.query.bias", {c.width}},
          {"attention.self.key.weight", {c.width, c.width}},
          {"attention.self.key.bias", {c.width}},
          {"attention.self.value.weight", {c.width, c.width}},
          {"attention.self.value.bias", {c.width}},
          {"attention.output.dense.weight", {c.width, c.width}},
          {"attention.output.dense.bias", {c.width}},
          {"attention.output.LayerNorm.weight", {c.width}},
          {"attention.output.LayerNorm.bias", {c.width}},
          {"intermediate.dense.weight", {c.ffn_width, c.width}},
          {"intermediate.dense.bias", {c.ffn_width}},
          {"output.dense.weight", {c.width, c.ffn_width}},
          {"output.dense.bias", {c.width}},
          {"output.LayerNorm.weight", {c.width}},
          {"output.LayerNorm.bias", {c.width}}};
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (const std::uint64_t extent : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(extent));
  return text + "]";
}

Expected<const Tensor*> find(const safetensors::File& file, const std::string& name,
                             const std::vector<std::uint64_t>& shape) {
  const Tensor* tensor = file.tensor(name);
  if (tensor == nullptr) tensor = file.tensor(std::string(kPrefix) + name);
  if (tensor == nullptr)
    return malformed(file.name(), "tensor " + name + " is missing, expected shape " + shape_text(shape));
  if (tensor->shape != shape) {
    return malformed(file.name(), "tensor " + name + " has shape " + shape_text(tensor->shape) +
                                      ", expected " + shape_text(shape));
  }
  if (tensor->type == Type::other) {
    return fail(Errc::file_unsupported, file.name() + ": tensor " + name + " has elements of type " +
                                            tensor->dtype + ", expected F32, F16 or BF16");
  }
  return tensor;
}

/// Not read, and not missed: a counter of positions, and the pooler, which mean pooling does without.
bool may_be_left_out(std::string_view name) {
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return name == "embeddings.position_ids" || name.starts_with("pooler.");
}

float float_at(const Tensor& tensor, std::uint64_t index) {
  if (tensor.type == Type::f32) {
    float value = 0;
    std::memcpy(&value, tensor.data.data() + 4 * index, 4);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, tensor.data.data() + 2 * index, 2);
  return tensor.type == Type::f16 ? half_to_float(bits) : bf16_to_float(bits);
}

std::vector<float> all_floats(const Tensor& tensor) {
  std::vector<float> out(tensor.elements());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = float_at(tensor, i);
  return out;
}

}  // namespace

Expected<BertConfig> read_bert_config(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::file_not_found, path.string() + ": " + error.message());
  if (size > kMostConfigBytes) return malformed(path.string(), "it has " + std::to_string(size) + " bytes");
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return malformed(path.string(), "it is no JSON object");
  Properties read(object, path.string());
  read.is("model_type", "bert", true);
  read.is("hidden_act", "gelu", true);
  read.is("position_embedding_type", "absolute", false);
  BertConfig config;
  config.layers = read.count("num_hidden_layers", 256);
  config.width = read.count("hidden_size", 1U << 14);
  config.ffn_width = read.count("intermediate_size", 1U << 16);
  config.heads = read.count("num_attention_heads", 1024);
  config.context = read.count("max_position_embeddings", 1U << 20);
  config.vocab = read.count("vocab_size", 1U << 22);
  config.token_types = read.count("type_vocab_size", 1024);
  config.norm_eps = read.real("layer_norm_eps");
  if (read.error()) return tl::unexpected<Error>(*read.error());
  if (config.width % config.heads != 0)
    return malformed(path.string(), "hidden_size is no multiple of num_attention_heads");
  return config;
}

Expected<std::shared_ptr<const BertFile>> BertFile::open(const std::filesystem::path& path) {
  const auto config = read_bert_config(path.parent_path() / "config.json");
  TROUPE_TRY(config);
  auto file = safetensors::File::open(path);
  TROUPE_TRY(file);
  return check(std::move(*file), *config);
}

Expected<std::shared_ptr<const BertFile>> BertFile::check(std::shared_ptr<const safetensors::File> file,
                                                          const BertConfig& config) {
  const std::shared_ptr<BertFile> made(new BertFile);
  made->config_ = config;
  std::unordered_set<const Tensor*> known;
  const auto specs = whole_specs(config);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto tensor = find(*file, specs[i].name, specs[i].shape);
    TROUPE_TRY(tensor);
    known.insert(made->whole_[i] = *tensor);
  }
  made->layers_.resize(config.layers);
  const auto of_layer = layer_specs(config);
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    for (std::size_t i = 0; i < of_layer.size(); ++i) {
      const auto tensor =
          find(*file, "encoder.layer." + std::to_string(layer) + "." + of_layer[i].name, of_layer[i].shape);
      TROUPE_TRY(tensor);
      known.insert(made->layers_[layer][i] = *tensor);
    }
  }
  Hasher hasher;
  hasher.text("troupe-bert-1");
  for (const std::uint32_t property :
       {config.layers, config.width, config.ffn_width, config.heads, config.context})
    hasher.number(property);
  hasher.bytes(std::as_bytes(std::span(&config.norm_eps, 1)));
  for (const Tensor& tensor : file->tensors()) {
    if (!known.contains(&tensor)) {
      if (may_be_left_out(tensor.name)) continue;
      return fail(Errc::file_unsupported, file->name() + ": tensor " + tensor.name.substr(0, 80) +
                                              " has no place in a BERT with mean pooling");
    }
    const Hash128 content = xxh3_128(tensor.data);
    hasher.text(tensor.name).text(tensor.dtype).number(content.high).number(content.low);
  }
  made->content_ = hasher.finish<ModelId>();
  made->file_ = std::move(file);
  return made;
}

std::vector<float> BertFile::floats(BertTensor tensor) const {
  return all_floats(*whole_[static_cast<std::size_t>(tensor)]);
}

std::vector<float> BertFile::floats(std::uint32_t layer, LayerTensor tensor) const {
  return all_floats(*layers_[layer][static_cast<std::size_t>(tensor)]);
}

void BertFile::word(std::uint32_t row, std::span<float> out) const {
  const Tensor& table = *whole_[static_cast<std::size_t>(BertTensor::words)];
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = float_at(table, std::uint64_t{row} * config_.width + i);
}

std::uint64_t BertFile::weight_bytes() const {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : file_->tensors()) sum += tensor.data.size();
  return sum;
}

ModelId BertFile::id(std::string_view numerics_id) const {
  return Hasher()
      .text("troupe-encoder-1")
      .number(content_.high)
      .number(content_.low)
      .text(numerics_id)
      .finish<ModelId>();
}

}  // namespace troupe::encoder
