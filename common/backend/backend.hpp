#pragma once
// The tensor backend: device memory, streams, events, graph capture and the ops a decoder layer is made of.
//
// Nothing above this interface touches a raw host pointer of a tensor: data enters and leaves by the copy calls. The CPU
// backend is the truth another backend is compared with, op by op (tests/conformance). Arithmetic is pinned (README,
// "Same bits"): a row's result never depends on the other rows of a call, on threads or on the instruction set.
//
// Letters: T rows of this call, D model width, N outputs, K inputs, H query heads, G kv heads, d head width, S = 64 slots.
// Tensors are row-major [rows, cols] views. Ops are queued on a Stream in order; one thread drives a stream.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe::backend {

inline constexpr std::uint32_t kPageSlots = 64;  ///< slots of a KV page, and keys of one attention split

/// activation: backend-private rows made by prepare(). i8: of KV pages only, codes with a scale each row.
enum class DType : std::uint8_t { f32, f16, i32, activation, i8 };
enum class Numerics : std::uint8_t { fast, reference };  ///< quantised activations and f16 KV, or float32 throughout
/// How KV pages hold numbers under Numerics::fast. int8 is lossy and its own numerics: never the bits of f16.
enum class KvCodec : std::uint8_t { f16, int8 };
/// The widest comes last. avx_vnni: AVX2 with VNNI; avx512: with VNNI; amx: AVX-512 whose tiles multiply 16 rows and more.
enum class Isa : std::uint8_t { automatic, scalar, avx2, avx_vnni, avx512, amx };

/// Owns device memory; freed by its destructor.
class Buffer {
 public:
  virtual ~Buffer() = default;
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

/// A view into a Buffer that outlives it. `row_stride` in elements; views of prepared rows start at row 0 only.
struct TensorRef {
  Buffer* buffer = nullptr;
  std::size_t offset_bytes = 0;
  DType dtype = DType::f32;
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  std::uint32_t row_stride = 0;
};

/// A matrix [N, K] packed for this backend, an embedding table or a vector [N] in f32.
class Weight {
 public:
  virtual ~Weight() = default;
  [[nodiscard]] virtual std::uint32_t rows() const = 0;  ///< N
  [[nodiscard]] virtual std::uint32_t cols() const = 0;  ///< K
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;
};
class Event {
 public:
  virtual ~Event() = default;
};
/// Ops captured between begin_capture and end_capture; replayed with the same buffers and shapes.
class Graph {
 public:
  virtual ~Graph() = default;
};

enum class RopeStyle : std::uint8_t { none, adjacent, half };  ///< pairs (2i, 2i+1), or (i, i + d/2)
enum class Activation : std::uint8_t { silu, gelu_tanh };

struct RopeParams {
  std::uint32_t dims = 0;           ///< rotated leading channels of a head, even
  double base = 10000.0;
  double scale = 1.0;               ///< positions are multiplied by this (linear scaling: 1/factor)
  std::vector<float> freq_factors;  ///< [dims/2] divisors of the frequencies; empty: all 1
};

/// KV storage of all layers: [layers][pages] of one layer's page. A layer's page is contiguous:
/// K [G, d, S] (a channel's 64 slots side by side), then V [G, S, d]; f16, f32 under Numerics::reference, or i8.
/// i8: a token's K, and its V, of one head are codes -127..127 times one f16 scale, the largest magnitude / 127; the scales
/// follow the codes, of K [G, S] and then of V [G, S]. What a token leaves in a page depends on that token alone.
struct KvLayout {
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t key_dim = 0;
  std::uint32_t value_dim = 0;
  DType dtype = DType::f16;
  std::uint32_t pages = 0;
  [[nodiscard]] std::size_t layer_page_bytes() const {
    const std::size_t scales = dtype == DType::i8 ? 2 * sizeof(std::uint16_t) : 0;
    return std::size_t{kPageSlots} * kv_heads * ((key_dim + value_dim) * element_bytes() + scales);
  }
  [[nodiscard]] std::size_t element_bytes() const { return dtype == DType::i8 ? 1 : dtype == DType::f16 ? 2 : 4; }
  /// Where an i8 page's scales of a head's K begin, in bytes; those of its V follow kv_heads * S scales later.
  [[nodiscard]] std::size_t scales_offset(std::uint32_t head) const {
    return std::size_t{kPageSlots} * (std::size_t{kv_heads} * (key_dim + value_dim) + std::size_t{head} * sizeof(std::uint16_t));
  }
  [[nodiscard]] std::size_t offset(std::uint32_t layer, std::uint32_t page) const {
    return (std::size_t{layer} * pages + page) * layer_page_bytes();
  }
};

/// What one query row may see. Logical index i of a sequence lives in slot i % 64 of page_table[i / 64].
/// The row sees keys [0, prefix) of its sequence, then the logical indices `extra` (its draft ancestors and itself), which
/// count as if they stood at prefix, prefix + 1, ...; of these it sees the last `window` when the layer has one.
/// A causal row at logical index i is {sequence, i + 1, none}.
struct AttentionRow {
  std::uint32_t sequence = 0;
  std::uint32_t prefix = 0;
  std::uint32_t extra_begin = 0;  ///< into AttentionBatch::extras
  std::uint32_t extra_count = 0;
};

/// Host-side description of a step's attention, the same for all layers. Built once a step, then uploaded once.
struct AttentionBatch {
  std::vector<AttentionRow> rows;               ///< T
  std::vector<std::uint32_t> table_begin;       ///< per sequence, into `tables`
  std::vector<std::uint32_t> tables;            ///< page ids
  std::vector<std::uint32_t> extras;            ///< logical indices
  bool share_prefixes = true;  ///< go through pages at the start of several tables once for all; changes no bit
};
/// A step's metadata on the device.
class AttentionPlan {
 public:
  virtual ~AttentionPlan() = default;
};

struct AttentionParams {
  std::uint32_t layer = 0;
  std::uint32_t heads = 0;   ///< H, a multiple of KvLayout::kv_heads
  std::uint32_t window = 0;  ///< 0: none
  float scale = 1.0f;        ///< of q.k
  float softcap = 0.0f;      ///< 0: none; else s = cap * tanh(s / cap)
};

/// One matrix of Backend::linear_group(); the bias may be null.
struct Product {
  const Weight* weight = nullptr;
  const Weight* bias = nullptr;
  TensorRef out;
};

/// An output that linear_best() keeps. Order: the larger value, then the lower id; -0 equals 0, and NaN is never kept.
struct Scored {
  float value = 0.0f;
  std::int32_t id = -1;
};

struct DeviceInfo {
  std::string name;       ///< "cpu avx512, 2 threads"
  Isa isa = Isa::scalar;  ///< what automatic resolved to
  std::uint32_t threads = 1;
};

/// Keeps a thread where its backend wants it, until destroyed by that thread.
class ThreadHold {
 public:
  virtual ~ThreadHold() = default;
};

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual DeviceInfo info() const = 0;
  [[nodiscard]] virtual Numerics numerics() const = 0;
  [[nodiscard]] virtual DType kv_dtype() const = 0;  ///< of every KvLayout that ops are given
  /// Names every choice that changes a sum: arithmetic version, activation block, KV type. Equal on every instruction set.
  [[nodiscard]] virtual std::string numerics_id() const = 0;

  // Memory. Errors: does_not_fit. Buffers start zeroed.
  [[nodiscard]] virtual Expected<std::unique_ptr<Buffer>> allocate(std::size_t bytes) = 0;
  [[nodiscard]] virtual std::size_t activation_bytes(std::uint32_t rows, std::uint32_t cols) const = 0;
  /// [n, k] from GGUF blocks, n rows of k contiguous elements. Errors: file_unsupported, shape_mismatch.
  [[nodiscard]] virtual Expected<std::unique_ptr<Weight>> make_matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                                      std::span<const std::byte> blocks) = 0;
  /// A vector [n] of any type, held as f32 (norms, biases).
  [[nodiscard]] virtual Expected<std::unique_ptr<Weight>> make_vector(gguf::TensorType type, std::uint32_t n,
                                                                      std::span<const std::byte> blocks) = 0;
  // An embedding table is a matrix too: embed() reads rows of a make_matrix() weight, so a tied head shares it.

  /// For the one thread that drives streams for long: the CPU backend pins it beside its workers. May be null.
  [[nodiscard]] virtual std::unique_ptr<ThreadHold> hold_thread() = 0;

  // Streams, events, graphs. The CPU stream runs an op at once and reports events as done.
  [[nodiscard]] virtual std::unique_ptr<Stream> make_stream() = 0;
  [[nodiscard]] virtual std::unique_ptr<Event> make_event() = 0;
  virtual void record(Stream& stream, Event& event) = 0;
  virtual void wait(Stream& stream, const Event& event) = 0;
  [[nodiscard]] virtual bool done(const Event& event) const = 0;
  virtual void synchronize(Stream& stream) = 0;
  virtual void begin_capture(Stream& stream) = 0;
  [[nodiscard]] virtual std::unique_ptr<Graph> end_capture(Stream& stream) = 0;
  virtual void launch(Stream& stream, const Graph& graph) = 0;

  // Copies; asynchronous on a device, host memory must live until synchronize(). Out of range is a programmer's fault.
  virtual void upload(Stream& stream, Buffer& to, std::size_t offset, std::span<const std::byte> from) = 0;
  virtual void download(Stream& stream, std::span<std::byte> to, const Buffer& from, std::size_t offset) = 0;
  /// The memory itself where the host can read it, valid after synchronize() until the next op writes it; else empty: download().
  [[nodiscard]] virtual std::span<const std::byte> host_view(const Buffer& buffer) const = 0;
  virtual void copy(Stream& stream, Buffer& to, std::size_t to_offset, const Buffer& from, std::size_t from_offset,
                    std::size_t bytes) = 0;

  // Ops. Shapes are checked (a mismatch is a programmer's fault).
  /// out[t, :] = scale * table[ids[t], :]; ids i32 [1, T].
  virtual void embed(Stream& stream, const Weight& table, TensorRef ids, float scale, TensorRef out) = 0;
  /// out = x / sqrt(mean(x^2) + eps) * weight, row by row; x may alias out. Rows may be heads: pass [T * H, d] views.
  virtual void rms_norm(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef out) = 0;
  /// Rows in the form linear() multiplies: 8-bit integers with a scale per block of 32, and for the blocks of the largest
  /// scales also what rounding left (README, "Arithmetic"). Under Numerics::reference f32.
  virtual void prepare(Stream& stream, TensorRef x, TensorRef activation) = 0;
  /// rms_norm then prepare, the same bits as the two calls.
  virtual void norm_prepare(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef activation) = 0;
  /// out[t, n] = sum_k activation[t, k] * weight[n, k] (+ bias[n]); bias may be null.
  void linear(Stream& stream, TensorRef activation, const Weight& weight, const Weight* bias, TensorRef out) {
    const Product product{&weight, bias, out};
    linear_group(stream, activation, {&product, 1});
  }
  /// linear() of 1 to kMostProducts matrices on the same rows, as one op: the same bits, one wait instead of several.
  virtual void linear_group(Stream& stream, TensorRef activation, std::span<const Product> products) = 0;
  static constexpr std::size_t kMostProducts = 4;
  /// The outputs of linear(), through softcap() where `cap` > 0, without keeping all: row t of T leaves its best keep[t] of them,
  /// at most kMostBest, best first in best[t * kMostBest]; ids are -1 where there are fewer. Where keep[t] is 0 the outputs go
  /// to the next row of `whole` [W, N] instead, W being the number of such rows. keep i32 [1, T]; `best` holds T * kMostBest
  /// Scored. Values have the bits of linear() and softcap(), so what is kept depends on neither threads nor other rows.
  virtual void linear_best(Stream& stream, TensorRef activation, const Weight& weight, float cap, TensorRef keep, TensorRef whole,
                           Buffer& best) = 0;
  static constexpr std::uint32_t kMostBest = 128;
  /// out = a + b.
  virtual void add(Stream& stream, TensorRef a, TensorRef b, TensorRef out) = 0;
  /// out = act(gate) * up.
  virtual void gated(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef out) = 0;
  /// gated then prepare, the same bits as the two calls; the product itself is kept nowhere.
  virtual void gated_prepare(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef prepared) = 0;
  /// cos and sin of every row's position, once a step: table f32 [T, dims] = cos [dims/2] then sin [dims/2]; positions i32 [1, T].
  virtual void rope_table(Stream& stream, const RopeParams& params, TensorRef positions, TensorRef table) = 0;
  /// Rotates each of `heads` heads of x [T, heads * d] in place.
  virtual void rope(Stream& stream, RopeStyle style, TensorRef table, std::uint32_t heads, TensorRef x) = 0;
  /// Stores k [T, G * key_dim] and v [T, G * value_dim] at physical slots (page * 64 + slot), i32 [1, T].
  virtual void kv_write(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t layer, TensorRef k, TensorRef v,
                        TensorRef slots) = 0;
  /// rope of q [T, H * key_dim] and k, then kv_write, the same bits as the three calls. q and k are rotated in place.
  virtual void rope_write(Stream& stream, RopeStyle style, TensorRef table, const KvLayout& layout, Buffer& kv, std::uint32_t layer,
                          TensorRef q, TensorRef k, TensorRef v, TensorRef slots) = 0;
  /// Copies one slot of every layer to another (tree rows accepted by verification).
  virtual void kv_move(Stream& stream, const KvLayout& layout, Buffer& kv, std::uint32_t from_slot, std::uint32_t to_slot) = 0;
  [[nodiscard]] virtual std::unique_ptr<AttentionPlan> plan_attention(Stream& stream, const AttentionBatch& batch) = 0;
  /// q [T, H * key_dim] -> out [T, H * value_dim]: partials over splits of 64 logical indices, merged in ascending order.
  virtual void attention(Stream& stream, const KvLayout& layout, const Buffer& kv, const AttentionPlan& plan,
                         const AttentionParams& params, TensorRef q, TensorRef out) = 0;
  /// out[i, :] = x[rows[i], :]; rows i32 [1, R].
  virtual void gather_rows(Stream& stream, TensorRef x, TensorRef rows, TensorRef out) = 0;
  /// x = cap * tanh(x / cap) (logit soft cap), in place.
  virtual void softcap(Stream& stream, TensorRef x, float cap) = 0;
};

struct CpuOptions {
  std::uint32_t threads = 0;  ///< 0: the CPUs this process may use
  Isa isa = Isa::automatic;
  Numerics numerics = Numerics::fast;
  KvCodec kv_codec = KvCodec::f16;  ///< int8 with Numerics::fast only
  /// Keep each thread on a CPU of its own when as many are free of Troupe's other pools on this host; where they are not,
  /// threads neither stay nor spin.
  bool pin_threads = false;
};
/// Errors: invalid_argument when the machine lacks the asked instruction set, or int8 pages are asked of Numerics::reference.
[[nodiscard]] Expected<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options);
/// The instruction sets this machine can run, scalar first.
[[nodiscard]] std::vector<Isa> supported_isas();
/// "scalar", "avx2", "avx-vnni", "avx512", "amx"; "auto" for automatic.
[[nodiscard]] std::string_view isa_name(Isa isa);
/// Its inverse; none for other texts.
[[nodiscard]] std::optional<Isa> isa_named(std::string_view name);

}  // namespace troupe::backend
