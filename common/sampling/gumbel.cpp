#include "common/sampling/gumbel.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/sampling/clones.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t kBlock = 64;

struct Best {
  double value;
  TokenId token;
  void offer(double candidate, TokenId id) {
    if (candidate > value || (candidate == value && id < token)) {
      value = candidate;
      token = id;
    }
  }
};

TROUPE_CLONES bool any_reaches(const float* logits, float cut) {
  int any = 0;
  for (std::uint32_t i = 0; i < kBlock; ++i) any |= logits[i] >= cut ? 1 : 0;
  return any != 0;
}

// Whether some token's score plus an upper bound of its noise reaches `cut`. With w = 2^32 - 1 - word, noise is at most
// -ln(w / 2^32), and exponent plus mantissa of a float (read as an integer) is at most log2 of it.
TROUPE_CLONES bool any_may_win(const float* logits, const std::uint32_t* words, float inverse, float cut) {
  int any = 0;
  for (std::uint32_t i = 0; i < kBlock; ++i) {
    const float half = static_cast<float>(static_cast<std::int32_t>(~words[i] >> 1U));
    const float log2_low = static_cast<float>(std::bit_cast<std::int32_t>(half)) * 0x1p-23f - 127.0f;
    const float most = 0.6931472f * (31.0f - log2_low);
    any |= logits[i] * inverse + most >= cut ? 1 : 0;
  }
  return any != 0;
}

void offer_all(std::span<const float> logits, std::uint32_t first, double temperature, const std::uint32_t* words,
               Best& best) {
  for (std::uint32_t i = 0; i < logits.size(); ++i) {
    const double score = static_cast<double>(logits[i]) / temperature;
    if (!(score + kMostGumbel >= best.value)) continue;
    best.offer(score + gumbel_of(words[i]), static_cast<TokenId>(first + i));
  }
}

}  // namespace

TokenId draw_of_all(std::span<const float> logits, double temperature, const DrawKey& key) {
  const std::uint32_t top = best_index(logits);
  const double top_score = static_cast<double>(logits[top]) / temperature;
  Best best{top_score + gumbel_of(draw_word(key, static_cast<TokenId>(top))), static_cast<TokenId>(top)};
  // Float rounding of a score near the top, with room to spare; below temperature 1e-3 the bound is left unused.
  const double slack = 0.05 + 1e-6 * std::fabs(top_score);
  const auto inverse = static_cast<float>(1.0 / temperature);
  const bool bounded = temperature >= 1e-3 && std::fabs(top_score) < 1e6;
  std::uint32_t words[kBlock];
  for (std::uint32_t at = 0; at < logits.size(); at += kBlock) {
    const std::uint32_t n = std::min<std::uint32_t>(kBlock, static_cast<std::uint32_t>(logits.size()) - at);
    const float* block = logits.data() + at;
    if (n == kBlock && bounded) {
      if (!any_reaches(block, static_cast<float>((best.value - kMostGumbel - slack) * temperature))) continue;
      draw_words(key, at, words);
      if (!any_may_win(block, words, inverse, static_cast<float>(best.value - slack))) continue;
    } else {
      draw_words(key, at, words);
    }
    offer_all(logits.subspan(at, n), at, temperature, words, best);
  }
  return best.token;
}

TokenId draw_of(std::span<const Candidate> candidates, const DrawKey& key) {
  Best best{-std::numeric_limits<double>::infinity(), candidates.front().id};
  for (const Candidate& c : candidates) best.offer(c.score + gumbel_of(draw_word(key, c.id)), c.id);
  return best.token;
}

}  // namespace troupe
