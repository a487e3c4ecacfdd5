// Ops that work row by row, and the matrix product.
#include <algorithm>
#include <array>
#include <cstring>

#include "common/backend/cpu/cpu_backend.hpp"
#include "common/backend/cpu/rope_math.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kMostRopeDims = 1024;

const PackedWeight& packed(const Weight& weight) { return static_cast<const PackedWeight&>(weight); }

const float* vector_of(const Weight& weight, std::uint32_t n) {
  TROUPE_CHECK(packed(weight).kind() == PanelKind::vector && weight.rows() == n, "a vector of the row's width was expected");
  return packed(weight).values();
}

bool same_shape(const TensorRef& a, const TensorRef& b) { return a.rows == b.rows && a.cols == b.cols; }

}  // namespace

void CpuBackend::embed(Stream& stream, const Weight& table, TensorRef ids, float scale, TensorRef out) {
  TROUPE_CHECK(out.cols == table.cols() && ids.rows * ids.cols == out.rows, "embed: shapes");
  const std::int32_t* id = int_row(ids);
  float* to = float_rows(out);
  const PackedWeight& from = packed(table);
  submit(stream, [=, this, &from] {
    for_rows(out.rows, 4 * std::size_t{out.cols}, [&](std::uint32_t row) {
      TROUPE_CHECK(id[row] >= 0 && static_cast<std::uint32_t>(id[row]) < from.rows(), "embed: id outside the table");
      float* at = to + row * stride_of(out);
      from.row(static_cast<std::uint32_t>(id[row]), at);
      if (scale != 1.0F) kernels_.scale(at, out.cols, scale, at);
    });
  });
}

void CpuBackend::rms_norm(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef out) {
  TROUPE_CHECK(same_shape(x, out), "rms_norm: shapes");
  const float* w = vector_of(weight, x.cols);
  const float* from = float_rows(x);
  float* to = float_rows(out);
  submit(stream, [=, this] {
    for_rows(x.rows, x.cols, [&](std::uint32_t row) {
      kernels_.rms_norm(from + row * stride_of(x), w, x.cols, eps, to + row * stride_of(out));
    });
  });
}

void CpuBackend::store_prepared(const float* x, const ActivationLayout& layout, std::byte* record) const {
  if (layout.quantized) kernels_.quantize(x, layout, record);
  if (!layout.quantized || float_matrices_) std::memcpy(record + layout.float_offset(), x, std::size_t{layout.cols} * 4);
}

void CpuBackend::prepare(Stream& stream, TensorRef x, TensorRef activation) {
  TROUPE_CHECK(same_shape(x, activation), "prepare: shapes");
  const ActivationLayout layout = activation_layout(x.cols);
  const float* from = float_rows(x);
  std::byte* to = activation_rows(activation, layout);
  submit(stream, [=, this] {
    for_rows(x.rows, x.cols, [&](std::uint32_t row) {
      store_prepared(from + row * stride_of(x), layout, to + row * layout.row_bytes());
    });
  });
}

void CpuBackend::norm_prepare(Stream& stream, TensorRef x, const Weight& weight, float eps, TensorRef activation) {
  TROUPE_CHECK(same_shape(x, activation), "norm_prepare: shapes");
  const ActivationLayout layout = activation_layout(x.cols);
  const float* w = vector_of(weight, x.cols);
  const float* from = float_rows(x);
  std::byte* to = activation_rows(activation, layout);
  submit(stream, [=, this] {
    for_rows(x.rows, x.cols, [&](std::uint32_t row) {
      // The row's float part is its own working memory: prepared rows always have room for it.
      std::byte* record = to + row * layout.row_bytes();
      float* normed = reinterpret_cast<float*>(record + layout.float_offset());
      kernels_.rms_norm(from + row * stride_of(x), w, x.cols, eps, normed);
      if (layout.quantized) kernels_.quantize(normed, layout, record);
    });
  });
}

LinearJob CpuBackend::matrix_job(TensorRef activation, const Weight& weight, const Weight* bias) const {
  const PackedWeight& w = packed(weight);
  TROUPE_CHECK(w.kind() != PanelKind::vector, "linear: a matrix was expected");
  TROUPE_CHECK(activation.cols == w.cols(), "linear: shapes");
  const ActivationLayout layout = activation_layout(activation.cols);
  const bool quantized = w.kind() == PanelKind::quantized;
  return {.panels = w.data(), .panel_bytes = w.panel_bytes(), .kind = w.kind(), .format = w.format(),
          .n = w.rows(), .k = w.cols(), .panel_begin = 0, .panel_end = w.panels(),
          .rows = activation_rows(activation, layout) + (quantized ? 0 : layout.float_offset()),
          .row_bytes = layout.row_bytes(), .meta_offset = layout.meta_offset(), .residual_offset = layout.residual_offset(),
          .residuals = static_cast<std::uint32_t>(layout.residuals()), .row_count = activation.rows,
          .bias = bias == nullptr ? nullptr : vector_of(*bias, w.rows())};
}

namespace {

/// The matrices of a group one after the other, cut into tasks of about as many bytes each.
struct LinearGroup {
  std::array<LinearJob, Backend::kMostProducts> jobs;
  std::size_t count = 0;

  [[nodiscard]] std::size_t bytes() const {
    std::size_t total = 0;
    for (std::size_t i = 0; i < count; ++i) total += jobs[i].panel_end * jobs[i].panel_bytes;
    return total;
  }
  [[nodiscard]] std::uint32_t panels() const {
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < count; ++i) total += jobs[i].panel_end;
    return total;
  }
  /// Every panel that begins in [begin, end) of the group's bytes.
  void run(const Kernels& kernels, std::size_t begin, std::size_t end) const {
    std::size_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto panel = [&](std::size_t byte) {
        const std::size_t inside = byte <= at ? 0 : (byte - at + jobs[i].panel_bytes - 1) / jobs[i].panel_bytes;
        return static_cast<std::uint32_t>(std::min<std::size_t>(inside, jobs[i].panel_end));
      };
      LinearJob part = jobs[i];
      part.panel_begin = panel(begin);
      part.panel_end = panel(end);
      if (part.panel_begin < part.panel_end) kernels.linear(part);
      at += jobs[i].panel_end * jobs[i].panel_bytes;
    }
  }
};

}  // namespace

void CpuBackend::linear_group(Stream& stream, TensorRef activation, std::span<const Product> products) {
  TROUPE_CHECK(!products.empty() && products.size() <= kMostProducts, "linear_group: 1 to 4 matrices");
  LinearGroup group;
  for (const Product& product : products) {
    TROUPE_CHECK(activation.rows == product.out.rows && product.out.cols == product.weight->rows(), "linear: shapes");
    LinearJob& job = group.jobs[group.count++] = matrix_job(activation, *product.weight, product.bias);
    job.out = float_rows(product.out);
    job.out_stride = stride_of(product.out);
  }
  const std::size_t bytes = group.bytes();
  const Ahead ahead = static_cast<CpuStream&>(stream).follow({group.jobs[0].panels, bytes});
  submit(stream, [group, bytes, ahead, this] {
    const std::uint32_t rows = group.jobs[0].row_count;
    if (rows == 0) return;
    const std::size_t work = std::size_t{group.panels()} * kLanes * group.jobs[0].k * rows;
    const std::uint32_t tasks = work < 4 * kSmallRowWork ? 1 : std::min(group.panels(), 4 * pool_.threads());
    pool_.run(tasks, [&](std::uint32_t task, std::uint32_t) {
      group.run(kernels_, bytes * task / tasks, bytes * (task + 1) / tasks);
    });
    look_ahead(rows, ahead);
  });
}

void CpuBackend::add(Stream& stream, TensorRef a, TensorRef b, TensorRef out) {
  TROUPE_CHECK(same_shape(a, b) && same_shape(a, out), "add: shapes");
  const float* from_a = float_rows(a);
  const float* from_b = float_rows(b);
  float* to = float_rows(out);
  submit(stream, [=, this] {
    for_rows(a.rows, a.cols, [&](std::uint32_t row) {
      kernels_.add(from_a + row * stride_of(a), from_b + row * stride_of(b), a.cols, to + row * stride_of(out));
    });
  });
}

void CpuBackend::gated(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef out) {
  TROUPE_CHECK(same_shape(gate, up) && same_shape(gate, out), "gated: shapes");
  const float* from_gate = float_rows(gate);
  const float* from_up = float_rows(up);
  float* to = float_rows(out);
  submit(stream, [=, this] {
    for_rows(gate.rows, 2 * std::size_t{gate.cols}, [&](std::uint32_t row) {
      kernels_.gated(activation, from_gate + row * stride_of(gate), from_up + row * stride_of(up), gate.cols,
                     to + row * stride_of(out));
    });
  });
}

void CpuBackend::gated_prepare(Stream& stream, Activation activation, TensorRef gate, TensorRef up, TensorRef prepared) {
  TROUPE_CHECK(same_shape(gate, up) && same_shape(gate, prepared), "gated_prepare: shapes");
  const ActivationLayout layout = activation_layout(gate.cols);
  const float* from_gate = float_rows(gate);
  const float* from_up = float_rows(up);
  std::byte* to = activation_rows(prepared, layout);
  submit(stream, [=, this] {
    for_rows(gate.rows, 3 * std::size_t{gate.cols}, [&](std::uint32_t row) {
      // As in norm_prepare, the row's float part is its own working memory.
      std::byte* record = to + row * layout.row_bytes();
      float* product = reinterpret_cast<float*>(record + layout.float_offset());
      kernels_.gated(activation, from_gate + row * stride_of(gate), from_up + row * stride_of(up), gate.cols, product);
      if (layout.quantized) kernels_.quantize(product, layout, record);
    });
  });
}

void CpuBackend::rope_table(Stream& stream, const RopeParams& params, TensorRef positions, TensorRef table) {
  TROUPE_CHECK(params.dims % 2 == 0 && table.cols == params.dims && positions.rows * positions.cols == table.rows,
               "rope_table: shapes");
  const std::uint32_t pairs = params.dims / 2;
  TROUPE_CHECK(params.freq_factors.empty() || params.freq_factors.size() == pairs, "rope_table: frequency factors");
  std::vector<double> frequencies(pairs);
  for (std::uint32_t i = 0; i < pairs; ++i) {
    frequencies[i] = rope_frequency(params.base, i, params.dims);
    if (!params.freq_factors.empty()) frequencies[i] /= static_cast<double>(params.freq_factors[i]);
  }
  const std::int32_t* position = int_row(positions);
  float* to = float_rows(table);
  submit(stream, [=, this, scale = params.scale, frequencies = std::move(frequencies)] {
    for_rows(table.rows, 16 * std::size_t{pairs}, [&](std::uint32_t row) {
      float* at = to + row * stride_of(table);
      const double scaled = static_cast<double>(position[row]) * scale;
      for (std::uint32_t i = 0; i < pairs; ++i) {
        const SineCosine pair = exact_sine_cosine(scaled * frequencies[i]);
        at[i] = static_cast<float>(pair.cosine);
        at[pairs + i] = static_cast<float>(pair.sine);
      }
    });
  });
}

namespace {

/// Rotates the heads of rows, which may be of several tensors: angles are laid out once a row.
class Rotation {
 public:
  Rotation(const Kernels& kernels, RopeStyle style, std::uint32_t pairs, const float* angles)
      : kernels_(kernels), style_(style), pairs_(pairs), angles_(angles) {
    if (style != RopeStyle::adjacent) return;
    for (std::uint32_t i = 0; i < pairs; ++i) {
      wide_cosines_[2 * i] = wide_cosines_[2 * i + 1] = angles[i];
      wide_sines_[2 * i] = -angles[pairs + i];
      wide_sines_[2 * i + 1] = angles[pairs + i];
    }
  }
  void operator()(float* row, std::uint32_t heads, std::size_t step) const {
    for (std::uint32_t head = 0; head < heads; ++head, row += step) {
      if (style_ == RopeStyle::half)
        kernels_.rope_half(row, angles_, angles_ + pairs_, pairs_);
      else
        kernels_.rope_adjacent(row, wide_cosines_, wide_sines_, 2 * pairs_);
    }
  }

 private:
  const Kernels& kernels_;
  RopeStyle style_;
  std::uint32_t pairs_;
  const float* angles_;
  float wide_cosines_[kMostRopeDims];
  float wide_sines_[kMostRopeDims];
};

void check_rope(TensorRef table, std::uint32_t heads, TensorRef x) {
  TROUPE_CHECK(heads > 0 && x.cols % heads == 0 && table.rows == x.rows && table.cols <= x.cols / heads, "rope: shapes");
  TROUPE_CHECK(table.cols <= kMostRopeDims, "rope: a head wider than any model has");
}

}  // namespace

void CpuBackend::rope(Stream& stream, RopeStyle style, TensorRef table, std::uint32_t heads, TensorRef x) {
  if (style == RopeStyle::none) return;
  check_rope(table, heads, x);
  const float* angles = float_rows(table);
  float* values = float_rows(x);
  submit(stream, [=, this] {
    for_rows(x.rows, x.cols, [&](std::uint32_t row) {
      const Rotation rotate(kernels_, style, table.cols / 2, angles + row * stride_of(table));
      rotate(values + row * stride_of(x), heads, x.cols / heads);
    });
  });
}

void CpuBackend::rope_write(Stream& stream, RopeStyle style, TensorRef table, const KvLayout& layout, Buffer& kv,
                            std::uint32_t layer, TensorRef q, TensorRef k, TensorRef v, TensorRef slots) {
  if (style != RopeStyle::none) {
    TROUPE_CHECK(layout.key_dim > 0 && q.cols % layout.key_dim == 0 && q.rows == k.rows, "rope_write: shapes");
    const std::uint32_t heads = q.cols / layout.key_dim;
    check_rope(table, heads, q);
    check_rope(table, layout.kv_heads, k);
    const float* angles = float_rows(table);
    float* queries = float_rows(q);
    float* keys = float_rows(k);
    submit(stream, [=, this, step = std::size_t{layout.key_dim}, kv_heads = layout.kv_heads] {
      for_rows(q.rows, std::size_t{q.cols} + k.cols, [&](std::uint32_t row) {
        const Rotation rotate(kernels_, style, table.cols / 2, angles + row * stride_of(table));
        rotate(queries + row * stride_of(q), heads, step);
        rotate(keys + row * stride_of(k), kv_heads, step);
      });
    });
  }
  kv_write(stream, layout, kv, layer, k, v, slots);
}

void CpuBackend::gather_rows(Stream& stream, TensorRef x, TensorRef rows, TensorRef out) {
  TROUPE_CHECK(x.cols == out.cols && rows.rows * rows.cols == out.rows, "gather_rows: shapes");
  const float* from = float_rows(x);
  const std::int32_t* index = int_row(rows);
  float* to = float_rows(out);
  submit(stream, [=] {
    for (std::uint32_t i = 0; i < out.rows; ++i) {
      TROUPE_CHECK(index[i] >= 0 && static_cast<std::uint32_t>(index[i]) < x.rows, "gather_rows: row out of range");
      std::memcpy(to + i * stride_of(out), from + static_cast<std::uint32_t>(index[i]) * stride_of(x),
                  std::size_t{x.cols} * 4);
    }
  });
}

void CpuBackend::softcap(Stream& stream, TensorRef x, float cap) {
  TROUPE_CHECK(cap > 0.0F, "softcap: the cap must be positive");
  float* values = float_rows(x);
  submit(stream, [=, this] {
    for_rows(x.rows, 2 * std::size_t{x.cols}, [&](std::uint32_t row) {
      kernels_.softcap(values + row * stride_of(x), x.cols, cap);
    });
  });
}

}  // namespace troupe::backend::cpu
