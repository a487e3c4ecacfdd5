#pragma once
// What ldtilecfg reads (Intel SDM volume 1, chapter 18): the shapes of a thread's eight tiles.
#include <cstdint>

namespace troupe::backend {

struct TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  constexpr void set(int tile, std::uint8_t tile_rows, std::uint16_t bytes) {
    rows[tile] = tile_rows;
    row_bytes[tile] = bytes;
  }
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace troupe::backend
