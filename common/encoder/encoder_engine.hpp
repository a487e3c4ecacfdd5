#pragma once
// An encoder behind the interface of an engine: requests that pool wait in a queue, and each step computes as
// many of them as it has rows for. There are no pages and no tokens to make: what asks for them is refused.
#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/clock.hpp"
#include "common/encoder/bert.hpp"
#include "common/engine/engine.hpp"

namespace troupe::encoder {

struct EncoderOptions {
  std::uint32_t token_budget = 512;  ///< rows of a step; a longer text has a step of its own
  std::uint32_t queue = 320;         ///< waiting requests; more are refused with queue_full
};

/// Names what shapes an encoder's sums.
inline constexpr std::string_view kEncoderNumerics = "bert-f32-1";

/// Vectors are means over all tokens. Higher priorities go first, then who came first. `clock` must outlive
/// it. Errors: those of Bert::create.
[[nodiscard]] Expected<std::unique_ptr<engine::Engine>> make_encoder_engine(
    std::shared_ptr<const BertFile> file, std::shared_ptr<backend::Backend> backend,
    const EncoderOptions& options, const Clock& clock, const std::function<void(double)>& on_load = {});

}  // namespace troupe::encoder
