#pragma once
// One forward pass of a decoder over a StepBatch: layers built from the model's properties alone.
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/engine/step_batch.hpp"
#include "common/model/model.hpp"

namespace troupe::engine {

/// Owns packed weights, activations for `max_rows` rows and the KV storage. Nothing is allocated during a pass.
/// Threads: one.
class ModelRunner {
 public:
  /// Packs every weight; `on_load` gets 0..1. Errors: does_not_fit, file_unsupported.
  [[nodiscard]] static Expected<std::unique_ptr<ModelRunner>> create(std::shared_ptr<const Model> model,
                                                                     std::shared_ptr<backend::Backend> backend,
                                                                     std::uint32_t max_rows, std::uint32_t pages,
                                                                     const std::function<void(double)>& on_load = {});
  virtual ~ModelRunner() = default;

  /// Runs between layers, after layer `layer` has written its KV. false stops the pass; what it wrote stays unused.
  using AfterLayer = std::function<bool(std::uint32_t layer)>;
  /// Takes the logits [V] of the i-th of batch.logit_rows; the span is valid during the call only.
  using OnLogits = std::function<void(std::size_t i, std::span<const float> logits)>;

  /// Takes the best logits of a row that batch.logit_keep bounds, best first; the span is valid during the call only.
  using OnBest = std::function<void(std::size_t i, std::span<const backend::Scored> best)>;

  /// Takes the state [D] of the i-th of batch.state_rows behind the last layer and the norm; the span is valid during the call only.
  using OnState = std::function<void(std::size_t i, std::span<const float> state)>;

  /// false: stopped by after_layer. The batch has 1..max_rows rows. Logit rows come in their order, each to one of the two,
  /// behind state rows in theirs.
  virtual bool forward(const StepBatch& batch, const AfterLayer& after_layer, const OnLogits& on_logits, const OnBest& on_best,
                       const OnState& on_state) = 0;
  /// For a batch without state rows.
  bool forward(const StepBatch& batch, const AfterLayer& after_layer, const OnLogits& on_logits, const OnBest& on_best) {
    return forward(batch, after_layer, on_logits, on_best, {});
  }
  /// For a batch whose logit rows are all wanted whole.
  bool forward(const StepBatch& batch, const AfterLayer& after_layer, const OnLogits& on_logits) {
    return forward(batch, after_layer, on_logits, {});
  }

  // KV storage.
  [[nodiscard]] virtual const backend::KvLayout& kv_layout() const = 0;
  virtual void copy_page(std::uint32_t from, std::uint32_t to) = 0;  ///< all layers
  virtual void move_slot(std::uint32_t from_slot, std::uint32_t to_slot) = 0;
  virtual void export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const = 0;
  virtual void import_page(std::uint32_t layer, std::uint32_t page, std::span<const std::byte> from) = 0;
};

/// Bytes of one page over all layers, for sizing a pool before weights are loaded.
[[nodiscard]] std::size_t page_bytes(const ModelConfig& config, backend::DType kv_dtype);

}  // namespace troupe::engine
