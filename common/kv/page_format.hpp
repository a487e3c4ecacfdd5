#pragma once
// How one layer of a KV page lies in memory: what two workers must agree on, or convert between, when pages
// cross.
#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe {

enum class PageNumbers : std::uint8_t { f16, f32, int8 };
/// K of one head: a channel's slots side by side [d, S], or a slot's channels side by side [S, d].
enum class KeyOrder : std::uint8_t { by_channel, by_token };

/// S slots of G kv heads: K [G, d, S] or [G, S, d], then V [G, S, d']. int8: K and V of a slot and head are
/// codes -127..127 times one f16 scale; the scales follow the codes, of K [G, S] and then of V [G, S]
/// (backend.hpp, KvLayout).
struct PageFormat {
  std::uint32_t page_tokens = 64;  ///< S, a multiple of a block's tokens
  std::uint32_t kv_heads = 1;      ///< G
  std::uint32_t key_dim = 0;       ///< d
  std::uint32_t value_dim = 0;     ///< d'
  PageNumbers numbers = PageNumbers::f16;
  KeyOrder keys = KeyOrder::by_channel;
  bool operator==(const PageFormat&) const = default;

  [[nodiscard]] std::size_t number_bytes() const {
    return numbers == PageNumbers::int8 ? 1 : numbers == PageNumbers::f16 ? 2 : 4;
  }
  [[nodiscard]] std::size_t layer_page_bytes() const {
    const std::size_t scales = numbers == PageNumbers::int8 ? 2 * sizeof(std::uint16_t) : 0;
    return std::size_t{page_tokens} * kv_heads *
           ((std::size_t{key_dim} + value_dim) * number_bytes() + scales);
  }
};

/// "64 tokens, 3 x (64 + 64) f16", for logs and errors.
[[nodiscard]] std::string to_string(const PageFormat& format);

}  // namespace troupe
