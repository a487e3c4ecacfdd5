#pragma once
// What a model file needs of a machine, without loading its weights.
#include <cstdint>
#include <filesystem>

#include "common/backend/backend.hpp"
#include "common/base/error.hpp"
#include "common/config/config.hpp"

namespace troupe::cli {

struct ModelFacts {
  std::uint64_t weight_bytes = 0;
  std::uint64_t page_bytes = 0;  ///< of 64 tokens, over all layers; 0: an encoder, which has no pages
  std::uint32_t context_length = 0;
};

/// Checks the file as a worker does. Errors: file_not_found, file_malformed, file_unsupported.
[[nodiscard]] Expected<ModelFacts> read_model_facts(const std::filesystem::path& path,
                                                    backend::DType kv_dtype);

/// How a worker of this configuration keeps KV pages.
[[nodiscard]] backend::DType kv_dtype_of(const Config& config);

}  // namespace troupe::cli
