#pragma once
// Philox4x32-10 [Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011]: a counter-based generator.
#include <array>
#include <cstdint>

#include "common/sampling/sampler.hpp"

namespace troupe {

using PhiloxBlock = std::array<std::uint32_t, 4>;

[[nodiscard]] PhiloxBlock philox4x32_10(PhiloxBlock counter, std::array<std::uint32_t, 2> key);

/// What keys the noise of one draw. Token t reads word t % 4 of the block counted by t / 4, so that a pass over the
/// vocabulary costs V / 4 blocks.
struct DrawKey {
  std::uint64_t seed = 0;
  std::uint64_t position = 0;
  std::uint32_t choice = 0;
  DrawPurpose purpose = DrawPurpose::sample;
};

[[nodiscard]] std::uint32_t draw_word(const DrawKey& key, TokenId token);
/// (word + 1/2) / 2^32.
[[nodiscard]] double uniform_of(std::uint32_t word);
/// -log(-log(u)), between -3.14 and 22.88.
[[nodiscard]] double gumbel_of(std::uint32_t word);
inline constexpr double kMostGumbel = 22.88;

/// Words of the 64 tokens from `first` (a multiple of 64) on; the same bits as 64 calls of draw_word.
void draw_words(const DrawKey& key, std::uint32_t first, std::uint32_t* words);

}  // namespace troupe
