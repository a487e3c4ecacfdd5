#include "common/tensor/quant_formats.hpp"

#include <fmt/format.h>

namespace troupe {
namespace {

Expected<const gguf::TensorTypeInfo*> check(gguf::TensorType type, std::uint64_t elements,
                                            std::uint64_t bytes) {
  const auto* info = gguf::tensor_type_info(static_cast<std::uint32_t>(type));
  if (!info)
    return fail(Errc::file_unsupported,
                fmt::format("tensor type: found number {}", static_cast<std::uint32_t>(type)));
  const auto expected = quantized_bytes(type, elements);
  if (!expected) return tl::unexpected(expected.error());
  if (*expected != bytes)
    return fail(Errc::shape_mismatch, fmt::format("{} elements of {}: found {} bytes, expected {}", elements,
                                                  info->name, bytes, *expected));
  return info;
}

}  // namespace

Expected<std::uint64_t> quantized_bytes(gguf::TensorType type, std::uint64_t elements) {
  const auto* info = gguf::tensor_type_info(static_cast<std::uint32_t>(type));
  if (!info)
    return fail(Errc::file_unsupported,
                fmt::format("tensor type: found number {}", static_cast<std::uint32_t>(type)));
  if (elements % info->block_elements != 0)
    return fail(Errc::shape_mismatch, fmt::format("found {} elements of {}, expected a multiple of {}",
                                                  elements, info->name, info->block_elements));
  return elements / info->block_elements * info->block_bytes;
}

Expected<void> dequantize(gguf::TensorType type, std::span<const std::byte> blocks, std::span<float> out) {
  const auto info = check(type, out.size(), blocks.size());
  if (!info) return tl::unexpected(info.error());
  const detail::DequantizeBlock one = detail::dequantizer(type);
  const auto* in = reinterpret_cast<const std::uint8_t*>(blocks.data());
  for (std::size_t done = 0; done < out.size(); done += (*info)->block_elements, in += (*info)->block_bytes)
    one(in, out.data() + done);
  return {};
}

Expected<void> quantize(gguf::TensorType type, std::span<const float> values, std::span<std::byte> out) {
  const auto info = check(type, values.size(), out.size());
  if (!info) return tl::unexpected(info.error());
  const detail::QuantizeBlock one = detail::quantizer(type);
  auto* to = reinterpret_cast<std::uint8_t*>(out.data());
  for (std::size_t done = 0; done < values.size();
       done += (*info)->block_elements, to += (*info)->block_bytes)
    one(values.data() + done, to);
  return {};
}

}  // namespace troupe
