// The router's index at its bar: 10 million blocks, 1,000 workers, and on one core a million events a second
// with lookups of 128-block prefixes in between.
//
//   prefix_index_bench [--benchmark_filter=...]
//
// Every event stream is a worker's: it stores a conversation of 128 blocks after a prefix that many share and
// drops its oldest one, which is what an LRU cache of pages tells its router. `events/s` counts keys stored
// and removed; `busy` is the share of the core that 1 M events/s and 1,000 lookups/s would take.
#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <random>

#include <benchmark/benchmark.h>

#include "common/prefix_index/prefix_index.hpp"

namespace {

using namespace troupe;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kWorkers = 1000, kPrompt = 128, kShared = 32;

double seconds_since(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

/// A cluster whose workers hold conversations: the first 32 blocks are one of 2,000 system prompts.
class Cluster {
 public:
  explicit Cluster(std::size_t blocks, std::size_t max_blocks) : index({.max_blocks = max_blocks}) {
    for (std::size_t i = 0; i < kWorkers; ++i) holders.push_back(*index.add_holder());
    held.resize(kWorkers);
    for (std::size_t made = 0; made < blocks; made += kPrompt - kShared) turn(false);
  }

  std::vector<BlockKey> prompt(std::uint64_t conversation) const {
    std::vector<BlockKey> keys;
    const std::uint64_t system = conversation % 2000;
    for (std::uint64_t i = 0; i < kPrompt; ++i) keys.push_back(key(i < kShared ? system : conversation + 2000, i));
    return keys;
  }
  /// A worker takes a conversation and lets go of its oldest one. Returns events.
  std::size_t turn(bool drop) {
    const std::size_t worker = random() % kWorkers;
    const std::uint64_t conversation = next++;
    index.store(holders[worker], prompt(conversation));
    held[worker].push_back(conversation);
    if (!drop) return kPrompt;
    const auto gone = prompt(held[worker].front());
    held[worker].pop_front();
    // What others of this worker share stays: its caller removes the conversation's own blocks.
    index.remove(holders[worker], std::span(gone).subspan(kShared));
    return kPrompt + kPrompt - kShared;
  }
  std::uint64_t some_conversation() {
    for (;;) {
      const auto& of = held[random() % kWorkers];
      if (!of.empty()) return of[random() % of.size()];
    }
  }

  std::mt19937_64 random{42};
  PrefixIndex index;
  std::vector<HolderId> holders;
  std::vector<std::deque<std::uint64_t>> held;
  std::uint64_t next = 0;

 private:
  static BlockKey key(std::uint64_t stream, std::uint64_t at) {
    const std::uint64_t x = (stream * kPrompt + at) * 0x9E3779B97F4A7C15ULL;
    return {x ^ x >> 31, x * 0xD6E8FEB86659FD93ULL};
  }
};

/// range(0): millions of blocks that workers hold; range(1): the index's bound. 12 and 10: every new block
/// evicts one.
void BM_ChurnWithLookups(benchmark::State& state) {
  constexpr std::size_t kMillion = 1'000'000;
  auto cluster = std::make_unique<Cluster>(static_cast<std::size_t>(state.range(0)) * kMillion,
                                           static_cast<std::size_t>(state.range(1)) * kMillion);
  std::vector<double> lookups;
  double in_events = 0, in_lookups = 0;
  std::size_t events = 0, longest = 0;
  for (auto _ : state) {
    const auto begin = Steady::now();
    std::size_t now = 0;
    while (now < 1000) now += cluster->turn(true);
    in_events += seconds_since(begin);
    events += now;
    const auto blocks = cluster->prompt(cluster->some_conversation());
    const auto asked = Steady::now();
    const auto found = cluster->index.match(blocks);
    lookups.push_back(seconds_since(asked));
    in_lookups += lookups.back();
    for (const PrefixMatch& match : found) longest = std::max<std::size_t>(longest, match.blocks);
    benchmark::DoNotOptimize(found.data());
  }
  std::sort(lookups.begin(), lookups.end());
  const auto percentile = [&](double p) {
    return 1e6 * lookups[static_cast<std::size_t>(p * static_cast<double>(lookups.size() - 1))];
  };
  state.counters["blocks"] = static_cast<double>(cluster->index.size());
  state.counters["MB"] = static_cast<double>(cluster->index.bytes()) / 1e6;
  state.counters["events/s"] = static_cast<double>(events) / in_events;
  state.counters["p50_us"] = percentile(0.5);
  state.counters["p99_us"] = percentile(0.99);
  state.counters["max_us"] = lookups.back() * 1e6;
  state.counters["busy"] = 1e6 * in_events / static_cast<double>(events) +
                           1000 * in_lookups / static_cast<double>(lookups.size());
  state.counters["evicted"] = static_cast<double>(cluster->index.evicted());
  if (longest != kPrompt) state.SkipWithError("no conversation was found whole");
}
BENCHMARK(BM_ChurnWithLookups)->Args({10, 20})->Args({12, 10})->Iterations(20000)->Unit(benchmark::kMicrosecond);

/// A prefix that all workers hold, or (1) each up to a block of its own: the longest lists a lookup meets.
void BM_PrefixOfEveryWorker(benchmark::State& state) {
  PrefixIndex index({});
  std::vector<BlockKey> blocks;
  for (std::uint64_t i = 0; i < kPrompt; ++i) blocks.push_back({i, i});
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i < kWorkers; ++i) {
    const std::size_t end = state.range(0) == 0 ? kPrompt : 1 + random() % kPrompt;
    index.store(*index.add_holder(), std::span(blocks).first(end));
  }
  for (auto _ : state) benchmark::DoNotOptimize(index.match(blocks).data());
}
BENCHMARK(BM_PrefixOfEveryWorker)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
