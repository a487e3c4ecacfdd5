#include "common/kv/page_converter.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/kv/block_key.hpp"
#include "common/tensor/half.hpp"

namespace troupe {
namespace {

// Far above every model; keeps sizes from overflowing.
constexpr std::uint32_t kMostPageTokens = 4096, kMostHeads = 4096, kMostDim = 16384;

bool is_format(const PageFormat& f) {
  return f.page_tokens != 0 && f.page_tokens % kBlockTokens == 0 && f.page_tokens <= kMostPageTokens &&
         f.kv_heads != 0 && f.kv_heads <= kMostHeads && f.key_dim != 0 && f.key_dim <= kMostDim &&
         f.value_dim != 0 && f.value_dim <= kMostDim && f.numbers <= PageNumbers::int8 &&
         f.keys <= KeyOrder::by_token;
}

/// Where a head's K or V begins, and how many numbers lie between two channels and between two slots of it.
struct Plane {
  std::size_t begin, channel, slot;
  std::uint32_t dim;
};

Plane plane(const PageFormat& f, std::uint32_t head, bool keys) {
  const std::size_t s = f.page_tokens;
  if (!keys) return {s * f.kv_heads * f.key_dim + s * head * f.value_dim, 1, f.value_dim, f.value_dim};
  const std::size_t begin = s * head * f.key_dim;
  return f.keys == KeyOrder::by_channel ? Plane{begin, s, 1, f.key_dim}
                                        : Plane{begin, 1, f.key_dim, f.key_dim};
}

/// In bytes, of an int8 page.
std::size_t scale_offset(const PageFormat& f, std::uint32_t head, bool keys, std::uint32_t slot) {
  const std::size_t s = f.page_tokens, codes = s * f.kv_heads * (std::size_t{f.key_dim} + f.value_dim);
  return codes + ((keys ? 0 : s * f.kv_heads) + s * head + slot) * sizeof(std::uint16_t);
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

/// As the backend's: the largest magnitude / 127, rounded to half; NaN counts as the least.
std::uint16_t scale_of(std::span<const float> row) {
  float largest = 0.0F;
  for (const float x : row) largest = std::fabs(x) > largest ? std::fabs(x) : largest;
  return float_to_half(largest / 127.0F);
}

std::int8_t code_of(float x, float inverse) {
  const float scaled = x * inverse;
  const float above = scaled > -127.0F ? scaled : -127.0F;
  return static_cast<std::int8_t>(std::lrintf(above < 127.0F ? above : 127.0F));
}

template <class T>
void copy_planes(const std::byte* source, const Plane& from, std::byte* target, const Plane& to,
                 std::uint32_t from_slot, std::uint32_t to_slot, std::uint32_t slots) {
  const std::byte* in = source + (from.begin + from.slot * from_slot) * sizeof(T);
  std::byte* out = target + (to.begin + to.slot * to_slot) * sizeof(T);
  if (from.channel == 1 && to.channel == 1) {  // rows stay rows
    std::memcpy(out, in, std::size_t{slots} * from.dim * sizeof(T));
    return;
  }
  for (std::uint32_t c = 0; c < from.dim;
       ++c, in += from.channel * sizeof(T), out += to.channel * sizeof(T)) {
    if (from.slot == 1 && to.slot == 1) {  // and columns, columns
      std::memcpy(out, in, slots * sizeof(T));
      continue;
    }
    for (std::uint32_t s = 0; s < slots; ++s)
      std::memcpy(out + s * to.slot * sizeof(T), in + s * from.slot * sizeof(T), sizeof(T));
  }
}

}  // namespace

std::string to_string(const PageFormat& f) {
  const char* const numbers = f.numbers == PageNumbers::f16   ? "f16"
                              : f.numbers == PageNumbers::f32 ? "f32"
                                                              : "int8";
  return std::to_string(f.page_tokens) + " tokens, " + std::to_string(f.kv_heads) + " x (" +
         std::to_string(f.key_dim) + " + " + std::to_string(f.value_dim) + ") " + numbers +
         (f.keys == KeyOrder::by_token ? ", keys by token" : "");
}

PageConverter::PageConverter(const PageFormat& from, const PageFormat& to)
    : from_(from), to_(to), row_(std::max(from.key_dim, from.value_dim)) {}

Expected<PageConverter> PageConverter::create(const PageFormat& from, const PageFormat& to) {
  const bool same_model =
      from.kv_heads == to.kv_heads && from.key_dim == to.key_dim && from.value_dim == to.value_dim;
  if (!is_format(from) || !is_format(to) || !same_model)
    return fail(Errc::numerics_mismatch,
                "KV pages of " + to_string(from) + " cannot become pages of " + to_string(to));
  return PageConverter(from, to);
}

Fidelity PageConverter::fidelity() const {
  if (from_.numbers == to_.numbers) return Fidelity::same_bits;
  // A code has 7 bits and a scale 11: their product fits a float.
  return to_.numbers == PageNumbers::f32 ? Fidelity::same_values : Fidelity::rounded;
}

Expected<void> PageConverter::move(std::span<const std::byte> source, std::uint32_t from_slot,
                                   std::span<std::byte> target, std::uint32_t to_slot, std::uint32_t slots) {
  if (source.size() != from_.layer_page_bytes() || target.size() != to_.layer_page_bytes())
    return fail(Errc::transfer_failed, "a KV page has " + std::to_string(source.size()) + " bytes, " +
                                           std::to_string(from_.layer_page_bytes()) + " are " +
                                           to_string(from_));
  if (from_slot > from_.page_tokens || slots > from_.page_tokens - from_slot || to_slot > to_.page_tokens ||
      slots > to_.page_tokens - to_slot)
    return fail(Errc::transfer_failed, std::to_string(slots) + " slots from " + std::to_string(from_slot) +
                                           " to " + std::to_string(to_slot) + " lie outside their pages");
  if (from_.numbers == to_.numbers) {
    move_bits(source, from_slot, target, to_slot, slots);
    return {};
  }
  for (std::uint32_t head = 0; head < from_.kv_heads; ++head)
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      for (const bool keys : {true, false})
        move_row(source, from_slot + slot, target, to_slot + slot, head, keys);
  return {};
}

void PageConverter::move_bits(std::span<const std::byte> source, std::uint32_t from_slot,
                              std::span<std::byte> target, std::uint32_t to_slot, std::uint32_t slots) const {
  for (std::uint32_t head = 0; head < from_.kv_heads; ++head) {
    for (const bool keys : {true, false}) {
      const Plane from = plane(from_, head, keys), to = plane(to_, head, keys);
      switch (from_.number_bytes()) {
        case 1:
          copy_planes<std::uint8_t>(source.data(), from, target.data(), to, from_slot, to_slot, slots);
          std::memcpy(target.data() + scale_offset(to_, head, keys, to_slot),
                      source.data() + scale_offset(from_, head, keys, from_slot),
                      slots * sizeof(std::uint16_t));
          break;
        case 2:
          copy_planes<std::uint16_t>(source.data(), from, target.data(), to, from_slot, to_slot, slots);
          break;
        default:
          copy_planes<std::uint32_t>(source.data(), from, target.data(), to, from_slot, to_slot, slots);
      }
    }
  }
}

/// One slot's K or V of a head, through floats.
void PageConverter::move_row(std::span<const std::byte> source, std::uint32_t from_slot,
                             std::span<std::byte> target, std::uint32_t to_slot, std::uint32_t head,
                             bool keys) {
  const Plane from = plane(from_, head, keys), to = plane(to_, head, keys);
  const std::span<float> row = std::span(row_).first(from.dim);
  const std::size_t in_bytes = from_.number_bytes(), out_bytes = to_.number_bytes();
  const std::byte* in = source.data() + (from.begin + from.slot * from_slot) * in_bytes;
  std::byte* out = target.data() + (to.begin + to.slot * to_slot) * out_bytes;
  const float scale =
      from_.numbers == PageNumbers::int8
          ? half_to_float(load<std::uint16_t>(source.data() + scale_offset(from_, head, keys, from_slot)))
          : 1.0F;
  for (std::uint32_t c = 0; c < from.dim; ++c, in += from.channel * in_bytes) {
    if (from_.numbers == PageNumbers::f32)
      row[c] = load<float>(in);
    else if (from_.numbers == PageNumbers::f16)
      row[c] = half_to_float(load<std::uint16_t>(in));
    else
      row[c] = static_cast<float>(load<std::int8_t>(in)) * scale;
  }
  float inverse = 0.0F;
  if (to_.numbers == PageNumbers::int8) {
    const std::uint16_t half = scale_of(row);
    store(target.data() + scale_offset(to_, head, keys, to_slot), half);
    const float rounded = half_to_float(half);
    inverse = rounded == 0.0F ? 0.0F : 1.0F / rounded;
  }
  for (std::uint32_t c = 0; c < from.dim; ++c, out += to.channel * out_bytes) {
    if (to_.numbers == PageNumbers::f32)
      store(out, row[c]);
    else if (to_.numbers == PageNumbers::f16)
      store(out, float_to_half(row[c]));
    else
      store(out, code_of(row[c], inverse));
  }
}

}  // namespace troupe
