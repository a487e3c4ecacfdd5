#include "services/bench/engine/timed_backend.hpp"

#include <chrono>
#include <type_traits>
#include <utility>

namespace troupe::bench {
namespace {

using namespace backend;

class Timed final : public TimedBackend {
 public:
  explicit Timed(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  void reset() override {
    counts_ = {};
    read_.clear();
  }
  OpCounts counts() const override { return counts_; }

  DeviceInfo info() const override { return inner_->info(); }
  Numerics numerics() const override { return inner_->numerics(); }
  DType kv_dtype() const override { return inner_->kv_dtype(); }
  std::string numerics_id() const override { return inner_->numerics_id(); }

  Expected<std::unique_ptr<Buffer>> allocate(std::size_t bytes) override { return inner_->allocate(bytes); }
  std::size_t activation_bytes(std::uint32_t rows, std::uint32_t cols) const override {
    return inner_->activation_bytes(rows, cols);
  }
  Expected<std::unique_ptr<Weight>> make_matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                std::span<const std::byte> blocks) override {
    return inner_->make_matrix(type, n, k, blocks);
  }
  Expected<std::unique_ptr<Weight>> make_vector(gguf::TensorType type, std::uint32_t n,
                                                std::span<const std::byte> blocks) override {
    return inner_->make_vector(type, n, blocks);
  }

  std::unique_ptr<ThreadHold> hold_thread() override { return inner_->hold_thread(); }
  std::unique_ptr<Stream> make_stream() override { return inner_->make_stream(); }
  std::unique_ptr<Event> make_event() override { return inner_->make_event(); }
  void record(Stream& stream, Event& event) override { inner_->record(stream, event); }
  void wait(Stream& stream, const Event& event) override { inner_->wait(stream, event); }
  bool done(const Event& event) const override { return inner_->done(event); }
  void begin_capture(Stream& stream) override { inner_->begin_capture(stream); }
  std::unique_ptr<Graph> end_capture(Stream& stream) override { return inner_->end_capture(stream); }
  // A device works off its queue here: the time is what the ops before it took.
  void synchronize(Stream& stream) override { timed<OpKind::products>(&Backend::synchronize, stream); }
  void launch(Stream& stream, const Graph& graph) override { timed<OpKind::products>(&Backend::launch, stream, graph); }

  void upload(Stream& stream, Buffer& to, std::size_t offset, std::span<const std::byte> from) override {
    timed<OpKind::copies>(&Backend::upload, stream, to, offset, from);
  }
  void download(Stream& stream, std::span<std::byte> to, const Buffer& from, std::size_t offset) override {
    timed<OpKind::copies>(&Backend::download, stream, to, from, offset);
  }
  std::span<const std::byte> host_view(const Buffer& buffer) const override { return inner_->host_view(buffer); }
  void copy(Stream& stream, Buffer& to, std::size_t to_offset, const Buffer& from, std::size_t from_offset,
            std::size_t bytes) override {
    timed<OpKind::copies>(&Backend::copy, stream, to, to_offset, from, from_offset, bytes);
  }

  void embed(Stream& stream, const Weight& table, TensorRef ids, float scale, TensorRef out) override {
    timed<OpKind::rows>(&Backend::embed, stream, table, ids, scale, out);
  }
  void rms_norm(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef out) override {
    timed<OpKind::rows>(&Backend::rms_norm, stream, x, weight, eps, out);
  }
  void prepare(Stream& stream, TensorRef x, TensorRef activation) override {
    timed<OpKind::rows>(&Backend::prepare, stream, x, activation);
  }
  void norm_prepare(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef activation) override {
    timed<OpKind::rows>(&Backend::norm_prepare, stream, x, weight, eps, activation);
  }
  void linear_group(Stream& stream, TensorRef activation, std::span<const backend::Product> products) override {
    for (const backend::Product& each : products) product(activation, *each.weight);
    timed<OpKind::products>(&Backend::linear_group, stream, activation, products);
  }
  void linear_best(Stream& stream, TensorRef activation, const Weight& weight, float cap, TensorRef keep, TensorRef whole,
                   Buffer& best) override {
    product(activation, weight);
    timed<OpKind::products>(&Backend::linear_best, stream, activation, weight, cap, keep, whole, best);
  }
  void add(Stream& stream, TensorRef a, TensorRef b, TensorRef out) override {
    timed<OpKind::rows>(&Backend::add, stream, a, b, out);
  }
  void gated(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef out) override {
    timed<OpKind::rows>(&Backend::gated, stream, activation, gate, up, out);
  }
  void gated_prepare(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef prepared) override {
    timed<OpKind::rows>(&Backend::gated_prepare, stream, activation, gate, up, prepared);
  }
  void rope_table(Stream& stream, const RopeParams& params, TensorRef positions, TensorRef table) override {
    timed<OpKind::rows>(&Backend::rope_table, stream, params, positions, table);
  }
  void rope(Stream& stream, RopeStyle style, TensorRef table, std::uint32_t heads, TensorRef x) override {
    timed<OpKind::rows>(&Backend::rope, stream, style, table, heads, x);
  }
  void kv_write(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t layer, TensorRef k, TensorRef v,
                TensorRef slots) override {
    timed<OpKind::rows>(&Backend::kv_write, stream, layout, kv, layer, k, v, slots);
  }
  void rope_write(Stream& stream, RopeStyle style, TensorRef table, const KvLayout& layout, Buffer& kv, std::uint32_t layer,
                  TensorRef q, TensorRef k, TensorRef v, TensorRef slots) override {
    timed<OpKind::rows>(&Backend::rope_write, stream, style, table, layout, kv, layer, q, k, v, slots);
  }
  void kv_move(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t from_slot, std::uint32_t to_slot) override {
    timed<OpKind::rows>(&Backend::kv_move, stream, layout, kv, from_slot, to_slot);
  }
  std::unique_ptr<AttentionPlan> plan_attention(Stream& stream, const AttentionBatch& batch) override {
    return timed<OpKind::attention>(&Backend::plan_attention, stream, batch);
  }
  void attention(Stream& stream, const KvLayout& layout, const Buffer& kv, const AttentionPlan& plan,
                 const AttentionParams& params, TensorRef q, TensorRef out) override {
    timed<OpKind::attention>(&Backend::attention, stream, layout, kv, plan, params, q, out);
  }
  void gather_rows(Stream& stream, TensorRef x, TensorRef rows, TensorRef out) override {
    timed<OpKind::rows>(&Backend::gather_rows, stream, x, rows, out);
  }
  void softcap(Stream& stream, TensorRef x, float cap) override { timed<OpKind::rows>(&Backend::softcap, stream, x, cap); }

 private:
  /// Adds what is left of a scope to its kind.
  class Span {
   public:
    explicit Span(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
    ~Span() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    double& seconds_;
    std::chrono::steady_clock::time_point begin_;
  };

  template <OpKind kKind, class Op, class... Arguments>
  auto timed(Op op, Arguments&&... arguments) -> std::invoke_result_t<Op, Backend&, Arguments...> {
    counts_.ops += 1;
    const Span span(counts_.seconds[static_cast<std::size_t>(kKind)]);
    return ((*inner_).*op)(std::forward<Arguments>(arguments)...);
  }

  void product(const TensorRef& activation, const Weight& weight) {
    counts_.multiply_adds += static_cast<double>(activation.rows) * weight.rows() * weight.cols();
    if (read_.insert(&weight).second) counts_.weight_bytes += weight.bytes();
  }

  const std::unique_ptr<Backend> inner_;
  OpCounts counts_;
  std::set<const Weight*> read_;
};

}  // namespace

std::string_view op_kind_name(OpKind kind) {
  switch (kind) {
    case OpKind::products: return "products";
    case OpKind::attention: return "attention";
    case OpKind::rows: return "row ops";
    case OpKind::copies: return "copies";
  }
  return "unknown";
}

std::shared_ptr<TimedBackend> make_timed_backend(std::unique_ptr<backend::Backend> inner) {
  return std::make_shared<Timed>(std::move(inner));
}

}  // namespace troupe::bench
