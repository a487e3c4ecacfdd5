#pragma once
// One entry per architecture: how GGUF keys become a ModelConfig. No kernels, no layers: those follow from the properties.
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/gguf/gguf.hpp"
#include "common/model/config.hpp"

namespace troupe {

struct ArchitectureEntry {
  std::string_view name;     ///< general.architecture
  std::string_view summary;
  std::string_view source;   ///< paper or report
  /// Sets what differs from the common keys, which are already read.
  Expected<void> (*specialise)(const gguf::File& file, ModelConfig& config);
};

[[nodiscard]] const std::vector<ArchitectureEntry>& builtin_architectures();

/// Reads and checks a model's properties. Errors: file_unsupported (names the known architectures), file_malformed (file, key,
/// found and expected).
[[nodiscard]] Expected<ModelConfig> read_config(const gguf::File& file);

/// Reads `<architecture>.<key>`; used by entries.
[[nodiscard]] Expected<double> number_or(const gguf::File& file, const ModelConfig& config, std::string_view key, double fallback);
/// The same for a whole number, within bounds.
[[nodiscard]] Expected<std::uint32_t> whole_or(const gguf::File& file, const ModelConfig& config, std::string_view key,
                                               std::uint32_t fallback, std::uint32_t low, std::uint32_t high);

}  // namespace troupe
