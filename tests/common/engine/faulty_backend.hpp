#pragma once
// A CPU backend with a mistake in what verification of trees relies on: tests that would not notice it prove
// nothing.
#include "common/backend/backend.hpp"

namespace troupe::engine {

class FaultyBackend final : public backend::Backend {
 public:
  enum class Fault : std::uint8_t {
    none,
    causal_mask,  ///< a row of a tree sees the rows before it, siblings too
    no_moves,     ///< accepted rows stay where they are
  };
  FaultyBackend(std::unique_ptr<Backend> inner, Fault fault) : inner_(std::move(inner)), fault_(fault) {}

  std::unique_ptr<backend::AttentionPlan> plan_attention(backend::Stream& stream,
                                                         const backend::AttentionBatch& batch) override {
    if (fault_ != Fault::causal_mask) return inner_->plan_attention(stream, batch);
    backend::AttentionBatch wrong = batch;
    for (backend::AttentionRow& row : wrong.rows)
      if (row.extra_count > 0)
        row = {row.sequence, batch.extras[row.extra_begin + row.extra_count - 1] + 1, 0, 0};
    return inner_->plan_attention(stream, wrong);
  }
  void kv_move(backend::Stream& stream, const backend::KvLayout& layout, backend::Buffer& kv,
               std::uint32_t from, std::uint32_t to) override {
    if (fault_ != Fault::no_moves) inner_->kv_move(stream, layout, kv, from, to);
  }

  backend::DeviceInfo info() const override { return inner_->info(); }
  backend::Numerics numerics() const override { return inner_->numerics(); }
  backend::DType kv_dtype() const override { return inner_->kv_dtype(); }
  std::string numerics_id() const override { return inner_->numerics_id(); }
  Expected<std::unique_ptr<backend::Buffer>> allocate(std::size_t bytes) override {
    return inner_->allocate(bytes);
  }
  std::size_t activation_bytes(std::uint32_t rows, std::uint32_t cols) const override {
    return inner_->activation_bytes(rows, cols);
  }
  Expected<std::unique_ptr<backend::Weight>> make_matrix(gguf::TensorType type, std::uint32_t n,
                                                         std::uint32_t k,
                                                         std::span<const std::byte> blocks) override {
    return inner_->make_matrix(type, n, k, blocks);
  }
  Expected<std::unique_ptr<backend::Weight>> make_vector(gguf::TensorType type, std::uint32_t n,
                                                         std::span<const std::byte> blocks) override {
    return inner_->make_vector(type, n, blocks);
  }
  std::unique_ptr<backend::ThreadHold> hold_thread() override { return inner_->hold_thread(); }
  std::unique_ptr<backend::Stream> make_stream() override { return inner_->make_stream(); }
  std::unique_ptr<backend::Event> make_event() override { return inner_->make_event(); }
  void record(backend::Stream& s, backend::Event& event) override { inner_->record(s, event); }
  void wait(backend::Stream& s, const backend::Event& event) override { inner_->wait(s, event); }
  bool done(const backend::Event& event) const override { return inner_->done(event); }
  void synchronize(backend::Stream& s) override { inner_->synchronize(s); }
  void begin_capture(backend::Stream& s) override { inner_->begin_capture(s); }
  std::unique_ptr<backend::Graph> end_capture(backend::Stream& s) override { return inner_->end_capture(s); }
  void launch(backend::Stream& s, const backend::Graph& graph) override { inner_->launch(s, graph); }
  void upload(backend::Stream& s, backend::Buffer& to, std::size_t offset,
              std::span<const std::byte> from) override {
    inner_->upload(s, to, offset, from);
  }
  void download(backend::Stream& s, std::span<std::byte> to, const backend::Buffer& from,
                std::size_t offset) override {
    inner_->download(s, to, from, offset);
  }
  std::span<const std::byte> host_view(const backend::Buffer& buffer) const override {
    return inner_->host_view(buffer);
  }
  void copy(backend::Stream& s, backend::Buffer& to, std::size_t to_offset, const backend::Buffer& from,
            std::size_t from_offset, std::size_t bytes) override {
    inner_->copy(s, to, to_offset, from, from_offset, bytes);
  }
  void embed(backend::Stream& s, const backend::Weight& table, backend::TensorRef ids, float scale,
             backend::TensorRef out) override {
    inner_->embed(s, table, ids, scale, out);
  }
  void rms_norm(backend::Stream& s, backend::TensorRef x, const backend::Weight& weight, float eps,
                backend::TensorRef out) override {
    inner_->rms_norm(s, x, weight, eps, out);
  }
  void prepare(backend::Stream& s, backend::TensorRef x, backend::TensorRef out) override {
    inner_->prepare(s, x, out);
  }
  void norm_prepare(backend::Stream& s, backend::TensorRef x, const backend::Weight& weight, float eps,
                    backend::TensorRef out) override {
    inner_->norm_prepare(s, x, weight, eps, out);
  }
  void linear_group(backend::Stream& s, backend::TensorRef x,
                    std::span<const backend::Product> products) override {
    inner_->linear_group(s, x, products);
  }
  void linear_best(backend::Stream& s, backend::TensorRef x, const backend::Weight& weight, float cap,
                   backend::TensorRef keep, backend::TensorRef whole, backend::Buffer& best) override {
    inner_->linear_best(s, x, weight, cap, keep, whole, best);
  }
  void add(backend::Stream& s, backend::TensorRef a, backend::TensorRef b, backend::TensorRef out) override {
    inner_->add(s, a, b, out);
  }
  void gated(backend::Stream& s, backend::Activation kind, backend::TensorRef gate, backend::TensorRef up,
             backend::TensorRef out) override {
    inner_->gated(s, kind, gate, up, out);
  }
  void gated_prepare(backend::Stream& s, backend::Activation kind, backend::TensorRef gate,
                     backend::TensorRef up, backend::TensorRef out) override {
    inner_->gated_prepare(s, kind, gate, up, out);
  }
  void rope_table(backend::Stream& s, const backend::RopeParams& params, backend::TensorRef positions,
                  backend::TensorRef table) override {
    inner_->rope_table(s, params, positions, table);
  }
  void rope(backend::Stream& s, backend::RopeStyle style, backend::TensorRef table, std::uint32_t heads,
            backend::TensorRef x) override {
    inner_->rope(s, style, table, heads, x);
  }
  void kv_write(backend::Stream& s, const backend::KvLayout& layout, backend::Buffer& kv, std::uint32_t layer,
                backend::TensorRef k, backend::TensorRef v, backend::TensorRef slots) override {
    inner_->kv_write(s, layout, kv, layer, k, v, slots);
  }
  void rope_write(backend::Stream& s, backend::RopeStyle style, backend::TensorRef table,
                  const backend::KvLayout& layout, backend::Buffer& kv, std::uint32_t layer,
                  backend::TensorRef q, backend::TensorRef k, backend::TensorRef v,
                  backend::TensorRef slots) override {
    inner_->rope_write(s, style, table, layout, kv, layer, q, k, v, slots);
  }
  void attention(backend::Stream& s, const backend::KvLayout& layout, const backend::Buffer& kv,
                 const backend::AttentionPlan& plan, const backend::AttentionParams& params,
                 backend::TensorRef q, backend::TensorRef out) override {
    inner_->attention(s, layout, kv, plan, params, q, out);
  }
  void gather_rows(backend::Stream& s, backend::TensorRef x, backend::TensorRef rows,
                   backend::TensorRef out) override {
    inner_->gather_rows(s, x, rows, out);
  }
  void softcap(backend::Stream& s, backend::TensorRef x, float cap) override { inner_->softcap(s, x, cap); }

 private:
  const std::unique_ptr<Backend> inner_;
  const Fault fault_;
};

}  // namespace troupe::engine
