#pragma once
// The CPU backend. A stream runs an op at once, in the caller's thread and the pool's; a graph is a list of op calls.
// Ops of one backend take turns, whoever calls. A float matrix must be made before rows are prepared for it: only then do
// prepared rows carry their float32 values.
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <unordered_map>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/attention.hpp"
#include "common/backend/cpu/best_outputs.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/backend/cpu/packed_weight.hpp"
#include "common/backend/cpu/thread_pool.hpp"

namespace troupe::backend::cpu {

inline constexpr std::size_t kSmallRowWork = 16384;  ///< elements that one thread does sooner than two agree

class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(std::size_t bytes) : memory_(bytes) {}
  [[nodiscard]] std::size_t bytes() const override { return memory_.bytes(); }
  [[nodiscard]] std::byte* data() const { return memory_.data(); }

 private:
  Memory memory_;
};

class CpuGraph final : public Graph {
 public:
  std::vector<std::function<void()>> ops;
};

/// Packed weights that are read next.
struct Ahead {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

class CpuStream final : public Stream {
 public:
  /// Says that `now` is read, and returns what was read after it the last time.
  Ahead follow(Ahead now) {
    if (last_ != nullptr) *last_ = now;
    last_ = &next_[now.data];
    return *last_;
  }

  std::unique_ptr<CpuGraph> capture;  ///< set between begin_capture and end_capture

 private:
  std::unordered_map<const std::byte*, Ahead> next_;  ///< by the data that is read before; nodes stay where they are
  Ahead* last_ = nullptr;
};

/// Rows first .. first + count of kv_write, whose slots follow one another in a page.
struct SlotRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

class CpuEvent final : public Event {};

class CpuBackend final : public Backend {
 public:
  CpuBackend(Isa isa, std::uint32_t threads, Numerics numerics, KvCodec codec, CoreLease lease);

  [[nodiscard]] DeviceInfo info() const override;
  [[nodiscard]] Numerics numerics() const override { return numerics_; }
  [[nodiscard]] DType kv_dtype() const override { return kv_dtype_; }
  [[nodiscard]] std::string numerics_id() const override;

  [[nodiscard]] Expected<std::unique_ptr<Buffer>> allocate(std::size_t bytes) override;
  [[nodiscard]] std::size_t activation_bytes(std::uint32_t rows, std::uint32_t cols) const override;
  [[nodiscard]] Expected<std::unique_ptr<Weight>> make_matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                              std::span<const std::byte> blocks) override;
  [[nodiscard]] Expected<std::unique_ptr<Weight>> make_vector(gguf::TensorType type, std::uint32_t n,
                                                              std::span<const std::byte> blocks) override;

  [[nodiscard]] std::unique_ptr<ThreadHold> hold_thread() override { return pool_.hold_thread(); }
  [[nodiscard]] std::unique_ptr<Stream> make_stream() override { return std::make_unique<CpuStream>(); }
  [[nodiscard]] std::unique_ptr<Event> make_event() override { return std::make_unique<CpuEvent>(); }
  void record(Stream&, Event&) override {}
  void wait(Stream&, const Event&) override {}
  [[nodiscard]] bool done(const Event&) const override { return true; }
  void synchronize(Stream&) override {}
  void begin_capture(Stream& stream) override;
  [[nodiscard]] std::unique_ptr<Graph> end_capture(Stream& stream) override;
  void launch(Stream& stream, const Graph& graph) override;

  void upload(Stream& stream, Buffer& to, std::size_t offset, std::span<const std::byte> from) override;
  void download(Stream& stream, std::span<std::byte> to, const Buffer& from, std::size_t offset) override;
  [[nodiscard]] std::span<const std::byte> host_view(const Buffer& buffer) const override;
  void copy(Stream& stream, Buffer& to, std::size_t to_offset, const Buffer& from, std::size_t from_offset,
            std::size_t bytes) override;

  void embed(Stream& stream, const Weight& table, TensorRef ids, float scale, TensorRef out) override;
  void rms_norm(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef out) override;
  void prepare(Stream& stream, TensorRef x, TensorRef activation) override;
  void norm_prepare(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef activation) override;
  void linear_group(Stream& stream, TensorRef activation, std::span<const Product> products) override;
  void linear_best(Stream& stream, TensorRef activation, const Weight& weight, float cap, TensorRef keep, TensorRef whole,
                   Buffer& best) override;
  void add(Stream& stream, TensorRef a, TensorRef b, TensorRef out) override;
  void gated(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef out) override;
  void gated_prepare(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef prepared) override;
  void rope_table(Stream& stream, const RopeParams& params, TensorRef positions, TensorRef table) override;
  void rope(Stream& stream, RopeStyle style, TensorRef table, std::uint32_t heads, TensorRef x) override;
  void kv_write(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t layer, TensorRef k, TensorRef v,
                TensorRef slots) override;
  void rope_write(Stream& stream, RopeStyle style, TensorRef table, const KvLayout& layout, Buffer& kv, std::uint32_t layer,
                  TensorRef q, TensorRef k, TensorRef v, TensorRef slots) override;
  void kv_move(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t from_slot, std::uint32_t to_slot) override;
  [[nodiscard]] std::unique_ptr<AttentionPlan> plan_attention(Stream& stream, const AttentionBatch& batch) override;
  void attention(Stream& stream, const KvLayout& layout, const Buffer& kv, const AttentionPlan& plan,
                 const AttentionParams& params, TensorRef q, TensorRef out) override;
  void gather_rows(Stream& stream, TensorRef x, TensorRef rows, TensorRef out) override;
  void softcap(Stream& stream, TensorRef x, float cap) override;

 private:
  [[nodiscard]] ActivationLayout activation_layout(std::uint32_t cols) const {
    return {numerics_ == Numerics::fast, cols};
  }
  /// Runs `op` now, or keeps it for the graph being captured.
  template <class Op>
  static void submit(Stream& stream, Op&& op) {
    auto& capture = static_cast<CpuStream&>(stream).capture;
    if (capture == nullptr)
      op();  // as it is: a std::function would be allocated for every op of a step
    else
      capture->ops.push_back(std::forward<Op>(op));
  }
  /// body(row, worker) for every row; in parallel when `elements` a row make it worth while.
  template <class Body>
  void for_rows(std::uint32_t rows, std::size_t elements, const Body& body);
  /// All but where outputs go.
  [[nodiscard]] LinearJob matrix_job(TensorRef activation, const Weight& weight, const Weight* bias) const;
  /// After a product of `rows` rows: few rows wait for memory, and the ops between two products leave it idle.
  void look_ahead(std::uint32_t rows, Ahead ahead) {
    constexpr std::uint32_t kRowsThatWait = 4;
    constexpr std::size_t kMostAhead = std::size_t{256} << 10;  // bytes, a part of the second cache level
    if (rows <= kRowsThatWait) pool_.prefetch_while_idle(ahead.data, ahead.bytes, kMostAhead);
  }
  void store_prepared(const float* x, const ActivationLayout& layout, std::byte* record) const;

  const Kernels& kernels_;
  Numerics numerics_;
  DType kv_dtype_;
  ThreadPool pool_;
  std::atomic<bool> float_matrices_ = false;
  std::mutex arena_turn_;
  WeightArena arena_;
  std::mutex attention_turn_;  ///< guards the working memory below
  std::vector<AttentionScratch> attention_scratch_;
  std::vector<float> partials_;
  std::vector<std::uint16_t> kv_halves_;
  std::vector<std::int8_t> kv_codes_;
  std::vector<SlotRun> slot_runs_;
  std::mutex best_turn_;  ///< guards the lists
  std::vector<BestLists> best_lists_;
};

template <class Body>
void CpuBackend::for_rows(std::uint32_t rows, std::size_t elements, const Body& body) {
  if (rows * elements < kSmallRowWork) {
    const FloatState state;
    for (std::uint32_t row = 0; row < rows; ++row) body(row);
    return;
  }
  const std::uint32_t tasks = std::min(rows, 4 * pool_.threads());
  pool_.run(tasks, [&](std::uint32_t task, std::uint32_t) {
    const auto begin = static_cast<std::uint32_t>(std::uint64_t{rows} * task / tasks);
    const auto end = static_cast<std::uint32_t>(std::uint64_t{rows} * (task + 1) / tasks);
    for (std::uint32_t row = begin; row < end; ++row) body(row);
  });
}

// Views, checked: a mismatch is a programmer's fault.
[[nodiscard]] float* float_rows(const TensorRef& tensor);
[[nodiscard]] const std::int32_t* int_row(const TensorRef& tensor);
[[nodiscard]] std::size_t stride_of(const TensorRef& tensor);
[[nodiscard]] std::byte* activation_rows(const TensorRef& tensor, const ActivationLayout& layout);

}  // namespace troupe::backend::cpu
