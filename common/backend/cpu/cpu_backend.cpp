#include "common/backend/cpu/cpu_backend.hpp"

#include <cstring>
#include <string>

#include "common/backend/cpu/cpu_info.hpp"

namespace troupe::backend {

Expected<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options) {
  const Isa isa = options.isa == Isa::automatic ? cpu::best_isa() : options.isa;
  if (!cpu::supports(isa))
    return fail(Errc::invalid_argument, "this machine has no " + std::string(isa_name(isa)) + "; its best is " +
                                            std::string(isa_name(cpu::best_isa())));
  if (options.kv_codec == KvCodec::int8 && options.numerics != Numerics::fast)
    return fail(Errc::invalid_argument, "int8 KV pages need fast numerics; the reference keeps float32 pages");
  constexpr std::uint32_t kMostThreads = 1024;
  if (options.threads > kMostThreads)
    return fail(Errc::invalid_argument, std::to_string(options.threads) + " threads; at most " + std::to_string(kMostThreads));
  const std::uint32_t threads = options.threads == 0 ? cpu::usable_cpus() : options.threads;
  return std::make_unique<cpu::CpuBackend>(isa, threads, options.numerics, options.kv_codec, cpu::lease_for(options, threads));
}

namespace cpu {
namespace {

const CpuBuffer& buffer_of(const Buffer& buffer) { return static_cast<const CpuBuffer&>(buffer); }

std::byte* range(const Buffer& buffer, std::size_t offset, std::size_t bytes) {
  TROUPE_CHECK(offset <= buffer.bytes() && bytes <= buffer.bytes() - offset, "copy outside a buffer");
  return buffer_of(buffer).data() + offset;
}

/// Address of a view of `rows` x `cols` elements of `element` bytes.
std::byte* view(const TensorRef& tensor, std::size_t element) {
  TROUPE_CHECK(tensor.buffer != nullptr, "a view without a buffer");
  TROUPE_CHECK(stride_of(tensor) >= tensor.cols, "a view whose rows overlap");
  const std::size_t elements = tensor.rows == 0 ? 0 : (tensor.rows - 1) * stride_of(tensor) + tensor.cols;
  return range(*tensor.buffer, tensor.offset_bytes, elements * element);
}

}  // namespace

std::size_t stride_of(const TensorRef& tensor) { return tensor.row_stride == 0 ? tensor.cols : tensor.row_stride; }

float* float_rows(const TensorRef& tensor) {
  TROUPE_CHECK(tensor.dtype == DType::f32, "a float32 view was expected");
  return reinterpret_cast<float*>(view(tensor, 4));
}

const std::int32_t* int_row(const TensorRef& tensor) {
  TROUPE_CHECK(tensor.dtype == DType::i32 && (tensor.rows == 1 || tensor.cols == 1), "an i32 row was expected");
  TROUPE_CHECK(tensor.rows == 1 || stride_of(tensor) == 1, "an i32 row without gaps was expected");
  return reinterpret_cast<const std::int32_t*>(view(tensor, 4));
}

std::byte* activation_rows(const TensorRef& tensor, const ActivationLayout& layout) {
  TROUPE_CHECK(tensor.dtype == DType::activation, "prepared rows were expected");
  TROUPE_CHECK(tensor.buffer != nullptr, "prepared rows without a buffer");
  return range(*tensor.buffer, tensor.offset_bytes, tensor.rows * layout.row_bytes());
}

CpuBackend::CpuBackend(Isa isa, std::uint32_t threads, Numerics numerics, KvCodec codec, CoreLease lease)
    : kernels_(kernels_for(isa)),
      numerics_(numerics),
      kv_dtype_(numerics != Numerics::fast ? DType::f32 : codec == KvCodec::int8 ? DType::i8 : DType::f16),
      pool_(threads, std::move(lease)),
      attention_scratch_(pool_.threads()) {}

DeviceInfo CpuBackend::info() const {
  return {"cpu " + std::string(isa_name(kernels_.isa)) + ", " + std::to_string(pool_.threads()) +
              (pool_.pinned() ? " pinned threads" : " threads"),
          kernels_.isa, pool_.threads()};
}

std::string CpuBackend::numerics_id() const {
  if (numerics_ != Numerics::fast) return "arith1-ref-kvf32";
  return kv_dtype_ == DType::i8 ? "arith3-act32r-kvi8" : "arith3-act32r-kvf16";
}

Expected<std::unique_ptr<Buffer>> CpuBackend::allocate(std::size_t bytes) {
  auto buffer = std::make_unique<CpuBuffer>(bytes);
  if (buffer->data() == nullptr) return fail(Errc::does_not_fit, std::to_string(bytes) + " bytes of memory");
  return buffer;
}

std::size_t CpuBackend::activation_bytes(std::uint32_t rows, std::uint32_t cols) const {
  return rows * activation_layout(cols).row_bytes();
}

Expected<std::unique_ptr<Weight>> CpuBackend::make_matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                          std::span<const std::byte> blocks) {
  const std::lock_guard turn(arena_turn_);
  auto weight = PackedWeight::matrix(type, n, k, blocks, numerics_, arena_);
  if (!weight) return tl::unexpected(std::move(weight.error()));
  if ((*weight)->kind() != PanelKind::quantized) float_matrices_ = true;
  return std::unique_ptr<Weight>(std::move(*weight));
}

Expected<std::unique_ptr<Weight>> CpuBackend::make_vector(gguf::TensorType type, std::uint32_t n,
                                                          std::span<const std::byte> blocks) {
  const std::lock_guard turn(arena_turn_);
  auto weight = PackedWeight::vector(type, n, blocks, arena_);
  if (!weight) return tl::unexpected(std::move(weight.error()));
  return std::unique_ptr<Weight>(std::move(*weight));
}

void CpuBackend::begin_capture(Stream& stream) {
  auto& capture = static_cast<CpuStream&>(stream).capture;
  TROUPE_CHECK(capture == nullptr, "a stream captures one graph at a time");
  capture = std::make_unique<CpuGraph>();
}

std::unique_ptr<Graph> CpuBackend::end_capture(Stream& stream) {
  auto& capture = static_cast<CpuStream&>(stream).capture;
  TROUPE_CHECK(capture != nullptr, "end_capture without begin_capture");
  return std::move(capture);
}

void CpuBackend::launch(Stream& stream, const Graph& graph) {
  TROUPE_CHECK(static_cast<CpuStream&>(stream).capture == nullptr, "launch inside a capture");
  for (const auto& op : static_cast<const CpuGraph&>(graph).ops) op();
}

void CpuBackend::upload(Stream& stream, Buffer& to, std::size_t offset, std::span<const std::byte> from) {
  std::byte* at = range(to, offset, from.size());
  submit(stream, [=] {
    if (!from.empty()) std::memcpy(at, from.data(), from.size());
  });
}

void CpuBackend::download(Stream& stream, std::span<std::byte> to, const Buffer& from, std::size_t offset) {
  const std::byte* at = range(from, offset, to.size());
  submit(stream, [=] {
    if (!to.empty()) std::memcpy(to.data(), at, to.size());
  });
}

std::span<const std::byte> CpuBackend::host_view(const Buffer& buffer) const { return {buffer_of(buffer).data(), buffer.bytes()}; }

void CpuBackend::copy(Stream& stream, Buffer& to, std::size_t to_offset, const Buffer& from, std::size_t from_offset,
                      std::size_t bytes) {
  std::byte* target = range(to, to_offset, bytes);
  const std::byte* source = range(from, from_offset, bytes);
  submit(stream, [=] { std::memmove(target, source, bytes); });
}

}  // namespace cpu
}  // namespace troupe::backend
