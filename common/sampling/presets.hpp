#pragma once
// Named settings of the sampler, for what a client would otherwise have to put together from many fields.
#include <span>
#include <string_view>

#include "common/sampling/params.hpp"

namespace troupe {

struct SamplingPreset {
  std::string_view name;       ///< as a request has it
  std::string_view technique;  ///< its row in the registry of techniques, which an answer names as lossy
  void (*apply)(SamplingParams& params);  ///< sets its fields and leaves the others
};

/// One row per preset. Threads: any.
[[nodiscard]] std::span<const SamplingPreset> sampling_presets();
/// Null: there is none of this name.
[[nodiscard]] const SamplingPreset* find_preset(std::string_view name);

}  // namespace troupe
