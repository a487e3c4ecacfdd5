#include "common/model/model.hpp"

#include <unordered_set>

#include "common/base/hash.hpp"
#include "common/model/architectures/architecture.hpp"

namespace troupe {
namespace {

/// Long enough that every property is hashed whole (a per-layer array of 1024 bools), short for the tokenizer's tables.
constexpr std::size_t kHashedValueChars = 8192;

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape) text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text + "]";
}

}  // namespace

Expected<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& path) {
  auto file = gguf::File::open(path);
  TROUPE_TRY(file);
  return from_file(std::move(*file));
}

Expected<std::shared_ptr<const Model>> Model::from_file(std::shared_ptr<const gguf::File> file) {
  auto config = read_config(*file);
  TROUPE_TRY(config);
  const std::shared_ptr<Model> model(new Model);
  model->file_ = std::move(file);
  model->config_ = std::move(*config);
  TROUPE_TRY(model->resolve(std::nullopt, model->whole_));
  model->layers_.resize(model->config_.layers);
  for (std::uint32_t layer = 0; layer < model->config_.layers; ++layer)
    TROUPE_TRY(model->resolve(layer, model->layers_[layer]));
  TROUPE_TRY(model->refuse_strangers());
  // What is computed depends on the tensors and the properties; the latter come from the metadata.
  Hasher hasher;
  for (const auto& entry : model->file_->describe(kHashedValueChars)) hasher.text(entry.key).text(entry.value);
  for (const gguf::Tensor& tensor : model->file_->tensors()) {
    const Hash128 content = xxh3_128(tensor.data);
    hasher.text(tensor.name).number(static_cast<std::uint64_t>(tensor.type)).number(content.high).number(content.low);
    model->weight_bytes_ += tensor.data.size();
  }
  const ModelId content = hasher.finish<ModelId>();
  model->content_high_ = content.high;
  model->content_low_ = content.low;
  return model;
}

Expected<void> Model::resolve(std::optional<std::uint32_t> layer, Slots& slots) {
  for (const TensorSpec& spec : tensor_specs(config_, layer)) {
    const gguf::Tensor* tensor = file_->tensor(spec.name);
    const std::string where = file_->path().string() + ": tensor " + spec.name;
    if (tensor == nullptr)
      return fail(Errc::file_malformed, where + " is missing, expected shape " + shape_text(spec.shape));
    std::vector<std::uint64_t> found = tensor->shape;
    while (found.size() > spec.shape.size() && found.back() == 1) found.pop_back();
    if (found != spec.shape)
      return fail(Errc::file_malformed, where + " has shape " + shape_text(tensor->shape) + ", expected " + shape_text(spec.shape));
    slots[static_cast<std::size_t>(spec.role)] = tensor;
  }
  return {};
}

Expected<void> Model::refuse_strangers() const {
  std::unordered_set<const gguf::Tensor*> known = {file_->tensor("rope_freqs.weight")};  // read with the properties
  known.insert(whole_.begin(), whole_.end());
  for (const Slots& layer : layers_) known.insert(layer.begin(), layer.end());
  for (const gguf::Tensor& tensor : file_->tensors()) {
    if (!known.contains(&tensor))
      return fail(Errc::file_unsupported, file_->path().string() + ": tensor " + tensor.name + " has shape " +
                                              shape_text(tensor.shape) + ", expected no such tensor in a " + config_.architecture);
  }
  return {};
}

const gguf::Tensor* Model::find(TensorRole role, std::uint32_t layer) const {
  const auto index = static_cast<std::size_t>(role);
  if (whole_[index] != nullptr) return whole_[index];
  return layer < layers_.size() ? layers_[layer][index] : nullptr;
}

ModelId Model::id(std::string_view numerics_id) const {
  return Hasher().text("troupe-model-1").number(content_high_).number(content_low_).text(numerics_id).finish<ModelId>();
}

}  // namespace troupe
