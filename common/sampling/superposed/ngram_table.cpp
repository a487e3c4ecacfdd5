#include "common/sampling/superposed/ngram_table.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe {
namespace {

constexpr std::array<double, NgramTable::kLongestContext> kWeights = {0.01, 0.04, 0.15, 0.18, 0.12};
constexpr std::size_t kFirstSlots = 64;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) + 0x9E3779B97F4A7C15ULL;  // SplitMix64's steps
  hash = (hash ^ (hash >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  hash = (hash ^ (hash >> 27U)) * 0x94D049BB133111EBULL;
  return hash ^ (hash >> 31U);
}

/// Of the last tokens of a text, the newest first, so that a longer context goes on from a shorter one.
class ContextHash {
 public:
  void longer(TokenId token) { hash_ = mix(hash_, static_cast<std::uint32_t>(token)); }
  [[nodiscard]] std::uint64_t alone() const { return key(mix(hash_, kAlone)); }
  [[nodiscard]] std::uint64_t with(TokenId next) const {
    return key(mix(hash_, kWith + static_cast<std::uint32_t>(next)));
  }

 private:
  static constexpr std::uint64_t kAlone = std::uint64_t{1} << 32U, kWith = std::uint64_t{1} << 33U;
  static std::uint64_t key(std::uint64_t hash) { return hash == 0 ? 1 : hash; }

  std::uint64_t hash_ = 0;
};

}  // namespace

NgramTable::NgramTable(std::size_t most_runs) : most_runs_(most_runs) {}

void NgramTable::add(std::span<const TokenId> text) {
  for (std::size_t at = 1; at < text.size(); ++at) {
    ContextHash context;
    for (std::size_t n = 1; n <= std::min(at, kLongestContext); ++n) {
      context.longer(text[at - n]);
      if (raise(context.alone())) raise(context.with(text[at]));
    }
  }
}

std::array<NgramTable::Counts, NgramTable::kLongestContext> NgramTable::counts(
    std::span<const TokenId> before, TokenId next) const {
  std::array<Counts, kLongestContext> out{};
  ContextHash context;
  for (std::size_t n = 1; n <= std::min(before.size(), kLongestContext); ++n) {
    context.longer(before[before.size() - n]);
    out[n - 1] = {count(context.alone()), count(context.with(next))};
    if (out[n - 1].context == 0) break;  // no longer one was seen either
  }
  return out;
}

/// Where `key` is, or may be put. There is an empty slot.
std::size_t NgramTable::place(std::uint64_t key) const {
  std::size_t at = key & (slots_.size() - 1);
  while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
  return at;
}

std::uint32_t NgramTable::count(std::uint64_t key) const {
  return slots_.empty() ? 0 : slots_[place(key)].count;
}

/// false: it is not there and there is no room for it.
bool NgramTable::raise(std::uint64_t key) {
  if ((runs_ + 1) * 4 > slots_.size() * 3) grow();
  Slot& slot = slots_[place(key)];
  if (slot.key == 0) {
    if (runs_ == most_runs_) return false;
    slot.key = key;
    runs_ += 1;
  }
  if (slot.count < std::numeric_limits<std::uint32_t>::max()) slot.count += 1;
  return true;
}

void NgramTable::grow() {
  std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(slots_.empty() ? kFirstSlots : slots_.size() * 2));
  for (const Slot& slot : old)
    if (slot.key != 0) slots_[place(slot.key)] = slot;
}

double ngram_score(std::span<const NgramTable* const> tables, std::span<const TokenId> before, TokenId next) {
  std::array<NgramTable::Counts, NgramTable::kLongestContext> sums{};
  for (const NgramTable* table : tables) {
    const auto counts = table->counts(before, next);
    for (std::size_t n = 0; n < sums.size(); ++n) {
      sums[n].context += counts[n].context;
      sums[n].together += counts[n].together;
    }
  }
  double score = 0.0;
  for (std::size_t n = 0; n < sums.size(); ++n) {
    if (sums[n].context == 0) continue;
    score += kWeights[n] * (static_cast<double>(sums[n].together) / static_cast<double>(sums[n].context));
  }
  return score;
}

}  // namespace troupe
