#pragma once
// BERT's forward pass (Devlin et al. 2018, arXiv 1810.04805, section 3) in float32: states behind the last
// layer, of several texts at once.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/encoder/bert_file.hpp"

namespace troupe::encoder {

/// Threads: one.
class Bert {
 public:
  /// Packs every weight for passes of up to `max_rows` tokens; `on_load` gets 0..1. The backend multiplies in
  /// float32 (Numerics::reference). Errors: does_not_fit, invalid_argument (another backend).
  [[nodiscard]] static Expected<std::unique_ptr<Bert>> create(
      std::shared_ptr<const BertFile> file, std::shared_ptr<backend::Backend> backend, std::uint32_t max_rows,
      const std::function<void(double)>& on_load = {});
  virtual ~Bert() = default;

  [[nodiscard]] virtual const BertFile& file() const = 0;
  /// `tokens` [T]: texts one after another, of `lengths` tokens each, none longer than the context; T is at
  /// most max_rows, and ids are within the vocabulary. The states are [T, D]; empty: `after_layer` said
  /// false, and the pass stopped.
  [[nodiscard]] virtual std::span<const float> forward(std::span<const TokenId> tokens,
                                                       std::span<const std::uint32_t> lengths,
                                                       const std::function<bool()>& after_layer = {}) = 0;
};

}  // namespace troupe::encoder
