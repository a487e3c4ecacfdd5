#include "common/sampling/philox.hpp"

#include "common/sampling/clones.hpp"
#include "common/sampling/exact_math.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53U, kMultiplier1 = 0xCD9E8D57U;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
constexpr std::uint32_t kPurposeShift = 29;  // token / 4 is below 2^29

PhiloxBlock counter_of(const DrawKey& key, std::uint32_t group) {
  return {group | (static_cast<std::uint32_t>(key.purpose) << kPurposeShift), key.choice,
          static_cast<std::uint32_t>(key.position), static_cast<std::uint32_t>(key.position >> 32U)};
}

std::array<std::uint32_t, 2> key_of(const DrawKey& key) {
  return {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32U)};
}

// Sixteen blocks side by side: x[word][block].
TROUPE_CLONES void philox_16(std::uint32_t (&x)[4][16], std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 16; ++i) {
      const std::uint64_t p0 = std::uint64_t{kMultiplier0} * x[0][i];
      const std::uint64_t p1 = std::uint64_t{kMultiplier1} * x[2][i];
      x[0][i] = static_cast<std::uint32_t>(p1 >> 32U) ^ x[1][i] ^ k0;
      x[2][i] = static_cast<std::uint32_t>(p0 >> 32U) ^ x[3][i] ^ k1;
      x[1][i] = static_cast<std::uint32_t>(p1);
      x[3][i] = static_cast<std::uint32_t>(p0);
    }
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
}

}  // namespace

PhiloxBlock philox4x32_10(PhiloxBlock c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * c[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32U) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32U) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

std::uint32_t draw_word(const DrawKey& key, TokenId token) {
  const auto id = static_cast<std::uint32_t>(token);
  return philox4x32_10(counter_of(key, id / 4), key_of(key))[id % 4];
}

void draw_words(const DrawKey& key, std::uint32_t first, std::uint32_t* words) {
  std::uint32_t x[4][16];
  const PhiloxBlock base = counter_of(key, first / 4);
  for (std::uint32_t i = 0; i < 16; ++i) {
    x[0][i] = base[0] + i;
    for (int word = 1; word < 4; ++word) x[word][i] = base[static_cast<std::size_t>(word)];
  }
  const auto k = key_of(key);
  philox_16(x, k[0], k[1]);
  for (std::uint32_t i = 0; i < 64; ++i) words[i] = x[i % 4][i / 4];
}

double uniform_of(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

double gumbel_of(std::uint32_t word) { return -exact::log(-exact::log(uniform_of(word))); }

double uniform_draw(std::uint64_t seed, std::uint32_t choice, std::uint64_t position, DrawPurpose purpose, TokenId token) {
  return uniform_of(draw_word({.seed = seed, .position = position, .choice = choice, .purpose = purpose}, token));
}

}  // namespace troupe
