// Second part of linear.inl, after the instruction set's quant_rows().

template <class F, std::uint32_t kStep>
void quant_some(const LinearJob& job, std::uint32_t panel, std::uint32_t row) {
  if constexpr (kStep <= most_rows<F>()) quant_rows<F, kStep>(job, panel, row);
}

template <class F>
void quant_block(const LinearJob& job, std::uint32_t panel, std::uint32_t row, std::uint32_t count) {
  constexpr std::uint32_t kMost = most_rows<F>();
  for (; count >= kMost; row += kMost, count -= kMost) quant_rows<F, kMost>(job, panel, row);
  if (count > 8) {
    quant_some<F, 8>(job, panel, row);
    row += 8;
    count -= 8;
  }
  switch (count) {
    case 1: return quant_some<F, 1>(job, panel, row);
    case 2: return quant_some<F, 2>(job, panel, row);
    case 3: return quant_some<F, 3>(job, panel, row);
    case 4: return quant_some<F, 4>(job, panel, row);
    case 5: return quant_some<F, 5>(job, panel, row);
    case 6: return quant_some<F, 6>(job, panel, row);
    case 7: return quant_some<F, 7>(job, panel, row);
    case 8: return quant_some<F, 8>(job, panel, row);
    default: return;
  }
}

using BlockFunction = void (*)(const LinearJob& job, std::uint32_t panel, std::uint32_t row, std::uint32_t count);

template <class... F>
struct Formats {};

/// Q4_0 Q4_1 Q5_0 Q5_1 Q8_0, Q2_K Q3_K Q4_K Q5_K Q6_K.
using QuantFormats = Formats<Format<true, false, false, false, 3>, Format<true, false, true, false, 0>,
                             Format<false, false, false, false, 4>, Format<false, false, true, false, 0>,
                             Format<false, false, false, false, 7>, Format<true, true, true, true, 0>,
                             Format<true, true, false, true, 2>, Format<true, false, true, true, 0>,
                             Format<false, false, true, true, 0>, Format<false, true, false, true, 5>>;

template <class... F>
BlockFunction function_among(const QuantFormat& format, Formats<F...> /*all*/) {
  BlockFunction function = nullptr;
  ((F::matches(format) ? void(function = &quant_block<F>) : void()), ...);
  return function;
}

BlockFunction quant_function(const QuantFormat& format) { return function_among(format, QuantFormats{}); }

BlockFunction block_function(const LinearJob& job) {
  switch (job.kind) {
    case PanelKind::f32: return &float_block<PanelKind::f32>;
    case PanelKind::f16: return &float_block<PanelKind::f16>;
    case PanelKind::bf16: return &float_block<PanelKind::bf16>;
    default: return quant_function(job.format);
  }
}

void linear(const LinearJob& job) {
  constexpr std::size_t kGroupBytes = std::size_t{256} << 10;
  const std::uint32_t row_block = rows_at_once(job);
  const BlockFunction function = block_function(job);
  const auto fitting = static_cast<std::uint32_t>(kGroupBytes / job.panel_bytes);
  const std::uint32_t group = fitting == 0 ? 1 : fitting;
  for (std::uint32_t begin = job.panel_begin; begin < job.panel_end; begin += group) {
    const std::uint32_t end = job.panel_end - begin < group ? job.panel_end : begin + group;
    for (std::uint32_t row = 0; row < job.row_count; row += row_block) {
      const std::uint32_t count = job.row_count - row < row_block ? job.row_count - row : row_block;
      for (std::uint32_t panel = begin; panel < end; ++panel) function(job, panel, row, count);
    }
  }
}

constexpr Kernels table(Isa isa) {
  return {.isa = isa, .direct_rows = isa == Isa::scalar ? 0 : kTileRows, .linear = linear, .rms_norm = rms_norm,
          .quantize = quantize_row, .add = add_rows, .scale = scale_row,
          .gated = gated, .softcap = softcap, .rope_half = rope_half, .rope_adjacent = rope_adjacent,
          .from_half = from_half, .to_half = to_half, .from_codes = from_codes, .to_codes = to_codes,
          .times_halves = times_halves, .tile = tile, .softmax = softmax, .merge = merge,
          .attend = attend, .next_reaching = next_reaching, .divide = divide_row, .exp = exp_row, .tanh = tanh_row, .sum_of_squares = sum_of_squares};
}
