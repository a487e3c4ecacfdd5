#pragma once
// A checked model file: properties, and every tensor the properties call for, with its shape verified. Immutable.
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/gguf/gguf.hpp"
#include "common/model/config.hpp"
#include "common/model/tensor_table.hpp"

namespace troupe {

class Model {
 public:
  /// Errors: file_not_found, file_malformed, file_unsupported; the detail names file, tensor or key, found and expected.
  [[nodiscard]] static Expected<std::shared_ptr<const Model>> load(const std::filesystem::path& path);
  [[nodiscard]] static Expected<std::shared_ptr<const Model>> from_file(std::shared_ptr<const gguf::File> file);

  [[nodiscard]] const ModelConfig& config() const { return config_; }
  [[nodiscard]] const gguf::File& file() const { return *file_; }
  [[nodiscard]] const std::shared_ptr<const gguf::File>& shared_file() const { return file_; }
  /// nullptr when the properties do not call for it. `layer` is ignored for tensors of the whole model.
  [[nodiscard]] const gguf::Tensor* find(TensorRole role, std::uint32_t layer = 0) const;
  /// Identity of the weights together with what else shapes results (the backend's numerics id). Cost: hashes nothing, the
  /// content was hashed at load (98 MB: about 10 ms).
  [[nodiscard]] ModelId id(std::string_view numerics_id) const;
  /// Bytes of all tensors in the file.
  [[nodiscard]] std::uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  Model() = default;
  using Slots = std::array<const gguf::Tensor*, kTensorRoles>;
  /// A tensor nobody reads would be a part of the model left out of the answer.
  [[nodiscard]] Expected<void> refuse_strangers() const;
  Expected<void> resolve(std::optional<std::uint32_t> layer, Slots& slots);

  std::shared_ptr<const gguf::File> file_;
  ModelConfig config_;
  Slots whole_{};
  std::vector<Slots> layers_;
  std::uint64_t content_high_ = 0, content_low_ = 0;
  std::uint64_t weight_bytes_ = 0;
};

}  // namespace troupe
