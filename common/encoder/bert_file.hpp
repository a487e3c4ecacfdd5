#pragma once
// A BERT as its files have it: properties from config.json, tensors from the safetensors file beside it, all
// checked.
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/safetensors/safetensors.hpp"

namespace troupe::encoder {

struct BertConfig {
  std::uint32_t layers = 0;     ///< L
  std::uint32_t width = 0;      ///< D
  std::uint32_t ffn_width = 0;  ///< F
  std::uint32_t heads = 0;      ///< H; D / H channels each
  std::uint32_t context = 0;    ///< positions that were learned
  std::uint32_t vocab = 0;      ///< V
  std::uint32_t token_types = 0;
  float norm_eps = 0;
};

/// Errors: file_not_found, file_malformed, file_unsupported (another kind of model, activation or position;
/// the detail names it).
[[nodiscard]] Expected<BertConfig> read_bert_config(const std::filesystem::path& path);

/// Tensors of a BERT, and of each of its layers.
enum class BertTensor : std::uint8_t { words, positions, types, norm_weight, norm_bias };
enum class LayerTensor : std::uint8_t {
  query,
  query_bias,
  key,
  key_bias,
  value,
  value_bias,
  attended,
  attended_bias,
  attended_norm,
  attended_norm_bias,
  up,
  up_bias,
  down,
  down_bias,
  norm,
  norm_bias
};

/// Immutable. Threads: any.
class BertFile {
 public:
  /// `path`: of the safetensors file; config.json lies beside it. Errors: as above.
  [[nodiscard]] static Expected<std::shared_ptr<const BertFile>> open(const std::filesystem::path& path);
  /// Its parts, however they came. Errors: file_malformed, file_unsupported.
  [[nodiscard]] static Expected<std::shared_ptr<const BertFile>> check(
      std::shared_ptr<const safetensors::File> file, const BertConfig& config);

  [[nodiscard]] const BertConfig& config() const { return config_; }
  /// The numbers of a tensor, in f32.
  [[nodiscard]] std::vector<float> floats(BertTensor tensor) const;
  [[nodiscard]] std::vector<float> floats(std::uint32_t layer, LayerTensor tensor) const;
  /// Row `row` of the word table [V, D], into `out` [D].
  void word(std::uint32_t row, std::span<float> out) const;
  [[nodiscard]] std::uint64_t weight_bytes() const;
  /// Identity of weights and properties together with what else shapes results. Cost: hashes nothing, the
  /// content was hashed at open.
  [[nodiscard]] ModelId id(std::string_view numerics_id) const;

 private:
  BertFile() = default;
  static constexpr std::size_t kTensors = 5, kLayerTensors = 16;

  BertConfig config_;
  std::shared_ptr<const safetensors::File> file_;
  std::array<const safetensors::Tensor*, kTensors> whole_{};
  std::vector<std::array<const safetensors::Tensor*, kLayerTensors>> layers_;
  ModelId content_;
};

}  // namespace troupe::encoder
