#include "common/engine/model_runner.hpp"

#include <algorithm>

#include "common/engine/layer_weights.hpp"

namespace troupe::engine {
namespace {

using backend::Backend;
using backend::Buffer;
using backend::DType;
using backend::TensorRef;
using BufferPtr = std::unique_ptr<Buffer>;

constexpr std::uint32_t kLogitRows = 32;  ///< rows of the head computed at once: bounds the logits' memory

backend::RopeParams rope_params(const RopeSpec& spec) { return {spec.dims, spec.base, spec.scale, spec.freq_factors}; }

backend::KvLayout layout_of(const ModelConfig& config, DType dtype, std::uint32_t pages) {
  return {config.layers, config.kv_heads, config.key_dim, config.value_dim, dtype, pages};
}

class Runner final : public ModelRunner {
 public:
  Runner(std::shared_ptr<const Model> model, std::shared_ptr<Backend> backend, std::uint32_t max_rows, std::uint32_t pages)
      : model_(std::move(model)), backend_(std::move(backend)), config_(model_->config()), max_rows_(max_rows),
        layout_(layout_of(config_, backend_->kv_dtype(), pages)), stream_(backend_->make_stream()) {
    for (const RopeSpec& spec : config_.ropes) ropes_.push_back(rope_params(spec));
  }

  Expected<void> prepare(const std::function<void(double)>& on_load) {
    auto weights = pack_weights(*model_, *backend_, on_load);
    TROUPE_TRY(weights);
    weights_ = std::move(*weights);
    const std::uint32_t q = config_.heads * config_.key_dim, k = config_.kv_heads * config_.key_dim;
    const std::uint32_t v = config_.kv_heads * config_.value_dim, o = config_.heads * config_.value_dim;
    struct Need {
      BufferPtr* buffer;
      std::size_t bytes;
    };
    const auto floats = [&](std::uint32_t cols) { return std::size_t{max_rows_} * cols * sizeof(float); };
    const std::uint32_t widest = std::max({config_.width, o, config_.ffn_width});
    std::vector<Need> needs = {{&x_, floats(config_.width)},
                               {&y_, floats(config_.width)},
                               {&q_, floats(q)},
                               {&k_, floats(k)},
                               {&v_, floats(v)},
                               {&attended_, floats(o)},
                               {&gate_, floats(config_.ffn_width)},
                               {&up_, floats(config_.ffn_width)},
                               {&activation_, backend_->activation_bytes(max_rows_, widest)},
                               {&ids_, floats(1)},
                               {&positions_, floats(1)},
                               {&slots_, floats(1)},
                               {&logit_rows_, floats(1)},
                               {&logit_keep_, floats(1)},
                               {&state_rows_, floats(1)},
                               {&best_, std::size_t{kLogitRows} * Backend::kMostBest * sizeof(backend::Scored)},
                               {&logits_, std::size_t{kLogitRows} * config_.vocab * sizeof(float)},
                               {&kv_, layout_.layer_page_bytes() * layout_.layers * layout_.pages}};
    rope_tables_.resize(ropes_.size());
    for (std::size_t i = 0; i < ropes_.size(); ++i) needs.push_back({&rope_tables_[i], floats(ropes_[i].dims)});
    for (const Need& need : needs) {
      auto buffer = backend_->allocate(need.bytes);
      TROUPE_TRY(buffer);
      *need.buffer = std::move(*buffer);
    }
    return {};
  }

  bool forward(const StepBatch& batch, const AfterLayer& after_layer, const OnLogits& on_logits, const OnBest& on_best,
               const OnState& on_state) override {
    TROUPE_CHECK(batch.rows() > 0 && batch.rows() <= max_rows_, "a step's rows are over the budget");
    rows_ = batch.rows();
    upload_step(batch);
    const auto plan = backend_->plan_attention(*stream_, batch.attention);
    backend_->embed(*stream_, *weights_.token_embd, ids(), config_.embedding_scale, floats(x_, config_.width));
    blend_inputs(batch);
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      attention_part(layer, *plan);
      ffn_part(layer);
      if (after_layer && !after_layer(layer)) return false;
    }
    states(batch, on_state);
    head(batch, on_logits, on_best);
    backend_->synchronize(*stream_);
    return true;
  }

  const backend::KvLayout& kv_layout() const override { return layout_; }

  void copy_page(std::uint32_t from, std::uint32_t to) override {
    for (std::uint32_t layer = 0; layer < layout_.layers; ++layer)
      backend_->copy(*stream_, *kv_, layout_.offset(layer, to), *kv_, layout_.offset(layer, from), layout_.layer_page_bytes());
  }
  void move_slot(std::uint32_t from_slot, std::uint32_t to_slot) override {
    backend_->kv_move(*stream_, layout_, *kv_, from_slot, to_slot);
  }
  void export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const override {
    TROUPE_CHECK(to.size() == layout_.layer_page_bytes(), "an exported page has another size");
    backend_->download(*stream_, to, *kv_, layout_.offset(layer, page));
    backend_->synchronize(*stream_);
  }
  void import_page(std::uint32_t layer, std::uint32_t page, std::span<const std::byte> from) override {
    TROUPE_CHECK(from.size() == layout_.layer_page_bytes(), "an imported page has another size");
    backend_->upload(*stream_, *kv_, layout_.offset(layer, page), from);
    backend_->synchronize(*stream_);
  }

 private:
  TensorRef floats(const BufferPtr& buffer, std::uint32_t cols) const { return {buffer.get(), 0, DType::f32, rows_, cols, cols}; }
  /// The same rows seen as heads: [T * heads, dim].
  TensorRef heads(const BufferPtr& buffer, std::uint32_t count, std::uint32_t dim) const {
    return {buffer.get(), 0, DType::f32, rows_ * count, dim, dim};
  }
  /// The prepared rows.
  TensorRef activation(std::uint32_t cols) const { return {activation_.get(), 0, DType::activation, rows_, cols, cols}; }
  TensorRef numbers(const BufferPtr& buffer, std::uint32_t count) const { return {buffer.get(), 0, DType::i32, 1, count, count}; }
  TensorRef ids() const { return numbers(ids_, rows_); }

  void upload_step(const StepBatch& batch) {
    const auto put = [&](Buffer& to, const auto& values) {
      if (!values.empty()) backend_->upload(*stream_, to, 0, std::as_bytes(std::span(values)));
    };
    put(*ids_, batch.tokens);
    put(*positions_, batch.positions);
    put(*slots_, batch.slots);
    put(*logit_rows_, batch.logit_rows);
    put(*logit_keep_, batch.logit_keep);
    put(*state_rows_, batch.state_rows);
    for (std::size_t i = 0; i < ropes_.size(); ++i)
      backend_->rope_table(*stream_, ropes_[i], numbers(positions_, rows_), floats(rope_tables_[i], ropes_[i].dims));
  }

  /// Blended rows: embeddings are weighed and summed here, in the order they are given, so that every backend has the same bits
  /// and one part of weight 1 is that token's row. The buffers of ids and of results are free at this point.
  void blend_inputs(const StepBatch& batch) {
    const std::size_t width = config_.width, parts = batch.blend_tokens.size();
    if (parts == 0) return;
    std::vector<double> sums(batch.blends.size() * width);
    std::size_t blend = 0, begin_of_blend = 0;
    for (std::size_t begin = 0; begin < parts; begin += max_rows_) {
      const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(max_rows_, parts - begin));
      backend_->upload(*stream_, *ids_, 0, std::as_bytes(std::span(batch.blend_tokens).subspan(begin, count)));
      backend_->embed(*stream_, *weights_.token_embd, numbers(ids_, count), config_.embedding_scale,
                      {y_.get(), 0, DType::f32, count, config_.width, config_.width});
      backend_->synchronize(*stream_);
      const auto rows = on_host<float>(*y_, count * width, host_states_);
      for (std::size_t part = begin; part < begin + count; ++part) {
        while (part >= batch.blends[blend].end) begin_of_blend = batch.blends[blend++].end;
        const auto weight = static_cast<double>(batch.blend_weights[part]);
        for (std::size_t i = 0; i < width; ++i) {
          const double term = weight * static_cast<double>(rows[(part - begin) * width + i]);
          double& sum = sums[blend * width + i];
          sum = part == begin_of_blend ? term : sum + term;  // 0 + -0 would be another zero
        }
      }
    }
    host_blends_.resize(sums.size());
    std::transform(sums.begin(), sums.end(), host_blends_.begin(), [](double sum) { return static_cast<float>(sum); });
    for (std::size_t i = 0; i < batch.blends.size(); ++i)
      backend_->upload(*stream_, *x_, batch.blends[i].row * width * sizeof(float),
                       std::as_bytes(std::span(host_blends_).subspan(i * width, width)));
  }

  void attention_part(std::uint32_t layer, const backend::AttentionPlan& plan) {
    const LayerWeights& w = weights_.layers[layer];
    const std::uint32_t q_cols = config_.heads * config_.key_dim, k_cols = config_.kv_heads * config_.key_dim;
    const std::uint32_t v_cols = config_.kv_heads * config_.value_dim, o_cols = config_.heads * config_.value_dim;
    const TensorRef input = activation(config_.width);
    backend_->norm_prepare(*stream_, floats(x_, config_.width), *w.attn_norm, config_.norm_eps, input);
    const backend::Product qkv[] = {{w.q.get(), w.q_bias.get(), floats(q_, q_cols)},
                                    {w.k.get(), w.k_bias.get(), floats(k_, k_cols)},
                                    {w.v.get(), w.v_bias.get(), floats(v_, v_cols)}};
    backend_->linear_group(*stream_, input, qkv);
    if (config_.qk_norm) {
      const TensorRef q = heads(q_, config_.heads, config_.key_dim), k = heads(k_, config_.kv_heads, config_.key_dim);
      backend_->rms_norm(*stream_, q, *w.q_norm, config_.norm_eps, q);
      backend_->rms_norm(*stream_, k, *w.k_norm, config_.norm_eps, k);
    }
    backend_->rope_write(*stream_, rope_style(), rope_table(layer), layout_, *kv_, layer, floats(q_, q_cols),
                         floats(k_, k_cols), floats(v_, v_cols), numbers(slots_, rows_));
    const backend::AttentionParams params{layer, config_.heads, config_.window[layer], config_.attention_scale,
                                          config_.attention_softcap};
    backend_->attention(*stream_, layout_, *kv_, plan, params, floats(q_, q_cols), floats(attended_, o_cols));
    const TensorRef attended = activation(o_cols);
    backend_->prepare(*stream_, floats(attended_, o_cols), attended);
    add_result(*w.attn_output, attended, w.attn_post_norm.get());
  }

  [[nodiscard]] TensorRef rope_table(std::uint32_t layer) const {
    if (config_.rope_style == PairStyle::none) return {};
    const std::size_t which = config_.rope_of[layer];
    return floats(rope_tables_[which], ropes_[which].dims);
  }
  [[nodiscard]] backend::RopeStyle rope_style() const {
    switch (config_.rope_style) {
      case PairStyle::half: return backend::RopeStyle::half;
      case PairStyle::adjacent: return backend::RopeStyle::adjacent;
      default: return backend::RopeStyle::none;
    }
  }

  void ffn_part(std::uint32_t layer) {
    const LayerWeights& w = weights_.layers[layer];
    const std::uint32_t cols = config_.ffn_width;
    backend_->norm_prepare(*stream_, floats(x_, config_.width), *w.ffn_norm, config_.norm_eps, activation(config_.width));
    const backend::Product gate_up[] = {{w.gate.get(), nullptr, floats(gate_, cols)}, {w.up.get(), nullptr, floats(up_, cols)}};
    backend_->linear_group(*stream_, activation(config_.width), gate_up);
    const auto kind = config_.activation == GateActivation::silu ? backend::Activation::silu : backend::Activation::gelu_tanh;
    const TensorRef product = activation(cols);
    backend_->gated_prepare(*stream_, kind, floats(gate_, cols), floats(up_, cols), product);
    add_result(*w.down, product, w.ffn_post_norm.get());
  }

  /// x += norm(input * weight); the norm only where the model has one.
  void add_result(const backend::Weight& weight, TensorRef input, const backend::Weight* post_norm) {
    const TensorRef x = floats(x_, config_.width), y = floats(y_, config_.width);
    backend_->linear(*stream_, input, weight, nullptr, y);
    if (post_norm != nullptr) backend_->rms_norm(*stream_, y, *post_norm, config_.norm_eps, y);
    backend_->add(*stream_, x, y, x);
  }

  void states(const StepBatch& batch, const OnState& on_state) {
    const auto count = static_cast<std::uint32_t>(batch.state_rows.size());
    if (count == 0) return;
    const TensorRef y{y_.get(), 0, DType::f32, count, config_.width, config_.width};
    backend_->gather_rows(*stream_, floats(x_, config_.width), numbers(state_rows_, count), y);
    backend_->rms_norm(*stream_, y, *weights_.output_norm, config_.norm_eps, y);
    backend_->synchronize(*stream_);
    const auto all = on_host<float>(*y_, std::size_t{count} * config_.width, host_states_);
    for (std::size_t i = 0; i < count; ++i) on_state(i, all.subspan(i * config_.width, config_.width));
  }

  void head(const StepBatch& batch, const OnLogits& on_logits, const OnBest& on_best) {
    const auto wanted = static_cast<std::uint32_t>(batch.logit_rows.size());
    for (std::uint32_t begin = 0; begin < wanted; begin += kLogitRows) {
      const std::uint32_t count = std::min(kLogitRows, wanted - begin);
      TensorRef rows = numbers(logit_rows_, count), keep = numbers(logit_keep_, count);
      rows.offset_bytes = keep.offset_bytes = begin * sizeof(std::int32_t);
      const TensorRef x{y_.get(), 0, DType::f32, count, config_.width, config_.width};
      const TensorRef act{activation_.get(), 0, DType::activation, count, config_.width, config_.width};
      backend_->gather_rows(*stream_, floats(x_, config_.width), rows, x);
      backend_->norm_prepare(*stream_, x, *weights_.output_norm, config_.norm_eps, act);
      const std::span<const std::int32_t> kept(batch.logit_keep.data() + begin, count);
      const auto whole = static_cast<std::uint32_t>(std::count(kept.begin(), kept.end(), 0));
      const TensorRef logits{logits_.get(), 0, DType::f32, whole, config_.vocab, config_.vocab};
      if (whole == count) {
        backend_->linear(*stream_, act, weights_.head(), nullptr, logits);
        if (config_.logit_softcap > 0) backend_->softcap(*stream_, logits, config_.logit_softcap);
      } else {
        backend_->linear_best(*stream_, act, weights_.head(), config_.logit_softcap, keep, logits, *best_);
      }
      hand_out(begin, kept, whole, on_logits, on_best);
    }
  }

  void hand_out(std::uint32_t begin, std::span<const std::int32_t> kept, std::uint32_t whole, const OnLogits& on_logits,
                const OnBest& on_best) {
    backend_->synchronize(*stream_);
    auto logits = on_host<float>(*logits_, std::size_t{whole} * config_.vocab, host_logits_);
    auto best = on_host<backend::Scored>(*best_, whole == kept.size() ? 0 : kept.size() * Backend::kMostBest, host_best_);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (kept[i] == 0) {
        on_logits(begin + i, logits.first(config_.vocab));
        logits = logits.subspan(config_.vocab);
        continue;
      }
      const auto row = best.subspan(i * Backend::kMostBest, static_cast<std::size_t>(kept[i]));
      const auto end = std::find_if(row.begin(), row.end(), [](const backend::Scored& one) { return one.id < 0; });
      on_best(begin + i, row.first(static_cast<std::size_t>(end - row.begin())));
    }
  }

  /// The first elements of a buffer, read where they are or copied. The stream is synchronised.
  template <class T>
  std::span<const T> on_host(const Buffer& buffer, std::size_t count, std::vector<std::byte>& copy) {
    if (count == 0) return {};
    std::span<const std::byte> view = backend_->host_view(buffer);
    if (view.empty()) {
      copy.resize(count * sizeof(T));
      backend_->download(*stream_, copy, buffer, 0);
      backend_->synchronize(*stream_);
      view = copy;
    }
    return {reinterpret_cast<const T*>(view.data()), count};
  }

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<Backend> backend_;
  const ModelConfig& config_;
  const std::uint32_t max_rows_;
  const backend::KvLayout layout_;
  const std::unique_ptr<backend::Stream> stream_;
  std::vector<backend::RopeParams> ropes_;
  ModelWeights weights_;
  BufferPtr x_, y_, q_, k_, v_, attended_, gate_, up_, activation_, ids_, positions_, slots_, logit_rows_, logit_keep_, state_rows_, best_, logits_, kv_;
  std::vector<BufferPtr> rope_tables_;
  std::vector<std::byte> host_logits_, host_best_, host_states_;  ///< where the backend's memory is not the host's
  std::vector<float> host_blends_;
  std::uint32_t rows_ = 0;
};

}  // namespace

std::size_t page_bytes(const ModelConfig& config, backend::DType kv_dtype) {
  return layout_of(config, kv_dtype, 1).layer_page_bytes() * config.layers;
}

Expected<std::unique_ptr<ModelRunner>> ModelRunner::create(std::shared_ptr<const Model> model,
                                                           std::shared_ptr<backend::Backend> backend, std::uint32_t max_rows,
                                                           std::uint32_t pages, const std::function<void(double)>& on_load) {
  auto runner = std::make_unique<Runner>(std::move(model), std::move(backend), max_rows, pages);
  TROUPE_TRY(runner->prepare(on_load));
  return runner;
}

}  // namespace troupe::engine
