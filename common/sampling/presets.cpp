#include "common/sampling/presets.hpp"

#include <algorithm>
#include <array>

namespace troupe {
namespace {

/// `sharpened`: draws from p^2 / Z over the tokens that have at least a tenth of the likeliest one's
/// probability, and keeps away from what would repeat the text. Two ideas of papers, as far as a sampler can
/// have them:
///
/// - Contrastive decoding [Li et al. 2023, arXiv:2210.15097] takes argmax (1 + b) log p - b log q over the
/// tokens with
///   p >= 0.1 max p. With the model itself, flattened to temperature t, as the amateur q the score is
///   (1 + b - b / t) log p, up to a constant: b = 2, t = 2 give 2 log p, which is temperature 1/2. min_p
///   bounds weights of that temperature, so its square root is the bound on p.
/// - A hyperfitted model [Carlsson et al. 2024, arXiv:2412.04318] has next-token distributions of little
/// entropy, and
///   repeats itself less. Sharpening gives the first and makes the second worse; DRY stands in for that.
///
/// It is not what those papers measure: there is no smaller model to contrast with, and hyperfitting is
/// training, which changes which token is likeliest. A sharpened draw of an untrained model has the model's
/// own arg-max.
void sharpen(SamplingParams& params) {
  params.temperature = 0.5f;
  params.min_p = 0.01f;
  params.dry.multiplier = 0.8f;
  params.dry.base = 1.75f;
  params.dry.allowed_length = 2;
}

constexpr std::array kPresets{SamplingPreset{"sharpened", "sharpened-sampling", sharpen}};

}  // namespace

std::span<const SamplingPreset> sampling_presets() {
  return kPresets;
}

const SamplingPreset* find_preset(std::string_view name) {
  const auto found = std::ranges::find(kPresets, name, &SamplingPreset::name);
  return found == kPresets.end() ? nullptr : &*found;
}

}  // namespace troupe
