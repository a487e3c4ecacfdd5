// Random calls against the plainest index there is: a map of keys to holders' tiers.
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "common/prefix_index/prefix_index.hpp"

namespace troupe {
namespace {

constexpr std::uint64_t kUniverse = 300;
BlockKey key(std::uint64_t n) {
  return {n * n, n};
}

class Oracle {
 public:
  using Holders = std::map<HolderId, std::uint8_t>;
  void store(HolderId h, std::uint64_t n, Tier tier) { blocks_[n][h] |= static_cast<std::uint8_t>(tier); }
  void remove(HolderId h, std::uint64_t n, Tier tier) {
    const auto at = blocks_.find(n);
    if (at == blocks_.end()) return;
    const auto holder = at->second.find(h);
    if (holder == at->second.end()) return;
    holder->second &= static_cast<std::uint8_t>(~static_cast<unsigned>(tier));
    if (holder->second == 0) at->second.erase(holder);
    if (at->second.empty()) blocks_.erase(at);
  }
  void forget(HolderId h) {
    for (auto at = blocks_.begin(); at != blocks_.end();) {
      at->second.erase(h);
      at = at->second.empty() ? blocks_.erase(at) : std::next(at);
    }
  }
  void evict(std::uint64_t n) { blocks_.erase(n); }
  [[nodiscard]] const Holders& holders(std::uint64_t n) const {
    static const Holders kNone;
    const auto at = blocks_.find(n);
    return at == blocks_.end() ? kNone : at->second;
  }
  [[nodiscard]] std::map<HolderId, PrefixMatch> match(const std::vector<std::uint64_t>& prompt) const {
    std::map<HolderId, PrefixMatch> out;
    for (const auto& [holder, tiers] : holders(prompt[0])) {
      PrefixMatch match{holder, 0, 0};
      bool memory = true;
      for (const std::uint64_t n : prompt) {
        const auto at = holders(n).find(holder);
        if (at == holders(n).end()) break;
        ++match.blocks;
        memory = memory && (at->second & static_cast<std::uint8_t>(Tier::memory)) != 0;
        if (memory) ++match.in_memory;
      }
      out[holder] = match;
    }
    return out;
  }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }

 private:
  std::map<std::uint64_t, Holders> blocks_;
};

struct Setting {
  std::size_t max_blocks;
  std::size_t holders;
  std::uint64_t seed;
};

class PrefixProperty : public testing::TestWithParam<Setting> {};

TEST_P(PrefixProperty, AnswersAsThePlainestIndexDoes) {
  std::mt19937_64 random(GetParam().seed);
  PrefixIndex index({.max_blocks = GetParam().max_blocks});
  Oracle oracle;
  std::vector<HolderId> holders;
  for (std::size_t i = 0; i < GetParam().holders; ++i) holders.push_back(*index.add_holder());
  std::uint64_t evicted = 0, vanished = 0;
  // What the bound took away is the only difference there may be, and it is counted.
  const auto find_evicted = [&] {
    for (std::uint64_t n = 0; n < kUniverse && index.evicted() != evicted; ++n) {
      if (oracle.holders(n).empty() || !index.match(std::vector{key(n)}).empty()) continue;
      oracle.evict(n);
      ++vanished;
    }
    evicted = index.evicted();
  };
  for (int step = 0; step < 6000; ++step) {
    HolderId& holder = holders[random() % holders.size()];
    const Tier tier = random() % 4 == 0 ? Tier::disk : Tier::memory;
    const std::uint64_t first = random() % kUniverse, count = random() % 6 + 1;
    std::vector<BlockKey> batch;
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t n = first; n < std::min(kUniverse, first + count); ++n) numbers.push_back(n);
    for (const std::uint64_t n : numbers) batch.push_back(key(n));
    const auto kind = random() % 100;
    if (kind < 60 && GetParam().max_blocks >= kUniverse) {
      index.store(holder, batch, tier);
      for (const std::uint64_t n : numbers) oracle.store(holder, n, tier);
    } else if (kind < 60) {
      for (const std::uint64_t n : numbers) {  // one by one, to see which block made room
        index.store(holder, std::vector{key(n)}, tier);
        oracle.store(holder, n, tier);
        find_evicted();
      }
    } else if (kind < 94) {
      index.remove(holder, batch, tier);
      for (const std::uint64_t n : numbers) oracle.remove(holder, n, tier);
    } else if (kind < 97) {  // a snapshot, or a new epoch
      index.forget(holder);
      oracle.forget(holder);
      holder = *index.add_holder();
    } else {
      index.sweep(random() % 10);
    }
    ASSERT_LE(vanished, evicted);
    ASSERT_LE(index.size(), GetParam().max_blocks);
    ASSERT_GE(index.size(), oracle.size());
    std::vector<std::uint64_t> prompt;
    std::uint64_t at = random() % kUniverse;
    for (int i = 0; i < 8; ++i) prompt.push_back(at++ % kUniverse);
    std::vector<BlockKey> blocks;
    for (const std::uint64_t n : prompt) blocks.push_back(key(n));
    std::map<HolderId, PrefixMatch> found;
    for (const PrefixMatch& match : index.match(blocks)) found[match.holder] = match;
    ASSERT_EQ(found, oracle.match(prompt)) << "step " << step;
  }
  std::map<HolderId, std::uint32_t> held;
  for (std::uint64_t n = 0; n < kUniverse; ++n)
    for (const auto& [holder, tiers] : oracle.holders(n)) ++held[holder];
  for (const HolderId holder : holders) EXPECT_EQ(index.held(holder), held[holder]);
  EXPECT_EQ(evicted == 0, GetParam().max_blocks >= kUniverse);
  EXPECT_EQ(vanished == 0, evicted == 0);
}

INSTANTIATE_TEST_SUITE_P(Settings, PrefixProperty,
                         testing::Values(Setting{1000, 3, 1}, Setting{1000, 40, 2}, Setting{300, 200, 3},
                                         Setting{120, 4, 4}, Setting{37, 60, 5}, Setting{1, 3, 6}));

}  // namespace
}  // namespace troupe
