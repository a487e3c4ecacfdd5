// Second part of linear.inl, after the instruction set's quant_rows().

template <class F>
void quant_block(const LinearJob& job, std::uint32_t panel, std::uint32_t row, std::uint32_t count) {
  // Two scales a block leave registers for eight rows.
  constexpr std::uint32_t kMost = F::kHalves && kQuantRows > 8 ? 8 : kQuantRows;
  while (count > 0) {
    std::uint32_t step = count;
    if (step >= kMost)
      step = kMost;
    else if (step > 8)
      step = 8;
    switch (step) {
      case 1: quant_rows<F, 1>(job, panel, row); break;
      case 2: quant_rows<F, kQuantRows < 2 ? 1 : 2>(job, panel, row); break;
      case 3: quant_rows<F, kQuantRows < 3 ? 1 : 3>(job, panel, row); break;
      case 4: quant_rows<F, kQuantRows < 4 ? 1 : 4>(job, panel, row); break;
      case 5: quant_rows<F, kQuantRows < 5 ? 1 : 5>(job, panel, row); break;
      case 6: quant_rows<F, kQuantRows < 6 ? 1 : 6>(job, panel, row); break;
      case 7: quant_rows<F, kQuantRows < 7 ? 1 : 7>(job, panel, row); break;
      case 8: quant_rows<F, kQuantRows < 8 ? 1 : 8>(job, panel, row); break;
      default: quant_rows<F, kMost>(job, panel, row); break;
    }
    row += step;
    count -= step;
  }
}

using BlockFunction = void (*)(const LinearJob& job, std::uint32_t panel, std::uint32_t row, std::uint32_t count);

template <bool kNibbles, bool kHalves, int kPlanes>
BlockFunction quant_function(const QuantFormat& f) {
  if (!f.wide_scales) {
    if constexpr (kHalves) return nullptr;
    return f.has_min ? &quant_block<Format<kNibbles, false, true, false, false, kPlanes>>
                     : &quant_block<Format<kNibbles, false, false, false, true, kPlanes>>;
  }
  return f.has_min ? &quant_block<Format<kNibbles, kHalves, true, true, false, kPlanes>>
                   : &quant_block<Format<kNibbles, kHalves, false, true, true, kPlanes>>;
}

template <int kPlanes>
BlockFunction planes_function(const QuantFormat& f) {
  if (f.nibbles) return f.halves ? quant_function<true, true, kPlanes>(f) : quant_function<true, false, kPlanes>(f);
  return f.halves ? quant_function<false, true, kPlanes>(f) : quant_function<false, false, kPlanes>(f);
}

BlockFunction block_function(const LinearJob& job) {
  switch (job.kind) {
    case PanelKind::f32: return &float_block<PanelKind::f32>;
    case PanelKind::f16: return &float_block<PanelKind::f16>;
    case PanelKind::bf16: return &float_block<PanelKind::bf16>;
    default: return job.wide ? planes_function<2>(job.format) : planes_function<1>(job.format);
  }
}

void linear(const LinearJob& job) {
  constexpr std::size_t kGroupBytes = std::size_t{256} << 10;
  constexpr std::uint32_t kRowBlock = 16;
  const BlockFunction function = block_function(job);
  const auto fitting = static_cast<std::uint32_t>(kGroupBytes / job.panel_bytes);
  const std::uint32_t group = fitting == 0 ? 1 : fitting;
  for (std::uint32_t begin = job.panel_begin; begin < job.panel_end; begin += group) {
    const std::uint32_t end = job.panel_end - begin < group ? job.panel_end : begin + group;
    for (std::uint32_t row = 0; row < job.row_count; row += kRowBlock) {
      const std::uint32_t count = job.row_count - row < kRowBlock ? job.row_count - row : kRowBlock;
      for (std::uint32_t panel = begin; panel < end; ++panel) function(job, panel, row, count);
    }
  }
}

constexpr Kernels table(Isa isa) {
  return {.isa = isa, .direct_rows = isa == Isa::scalar ? 0 : kTileRows, .linear = linear, .rms_norm = rms_norm,
          .quantize = quantize_row<false>, .quantize_wide = quantize_row<true>, .add = add_rows, .scale = scale_row,
          .gated = gated, .softcap = softcap, .rope_half = rope_half, .rope_adjacent = rope_adjacent,
          .from_half = from_half, .to_half = to_half, .tile = tile, .softmax = softmax, .merge = merge,
          .attend = attend, .divide = divide_row, .exp = exp_row, .tanh = tanh_row, .sum_of_squares = sum_of_squares};
}
