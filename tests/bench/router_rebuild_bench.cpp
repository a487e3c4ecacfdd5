// A router that starts and hears from every worker what it holds: a million blocks, against a bar of one
// second.
//
//   router_rebuild_bench [--benchmark_filter=...]
//
// Messages are made beforehand, as workers send them; timed is everything a new router does with them, from
// their bytes to an index that finds each worker's prefixes: in KvUpdate snapshots (what a member sends when
// it is asked), or as KV events (msgpack: what a replay brings, tokens included). `of_bar` is the time over
// one second; a router that does not hold every block afterwards is an error.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <benchmark/benchmark.h>

#include "common/kv_events/vllm_codec.hpp"
#include "services/router/router_state.hpp"

namespace {

using namespace troupe;
using kv_events::BlocksStored;
using router::RouterState;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kBlocks = 1'000'000;
constexpr std::size_t kPerMessage = 1000, kConversation = 128, kShared = 32, kBeginnings = 500;
constexpr double kBarSeconds = 1.0;
const ModelId kModel{5, 5};
const TimePoint kNow{};

NodeId node_of(std::size_t worker) {
  return {7, worker + 1};
}

/// A block of a worker's conversations: of 128 each, the first 32 one of 500 common beginnings.
BlockKey key_of(std::size_t worker, std::size_t block) {
  const std::uint64_t conversation = worker << 32 | block / kConversation, at = block % kConversation;
  const std::uint64_t stream = at < kShared ? conversation % kBeginnings : conversation + kBeginnings;
  const std::uint64_t x = (stream * kConversation + at) * 0x9E3779B97F4A7C15ULL;
  return {x ^ x >> 31, x * 0xD6E8FEB86659FD93ULL};
}

/// Blocks `from` to `end` as a worker tells them.
kv_events::EventBatch batch_of(std::size_t worker, std::size_t from, std::size_t end) {
  kv_events::EventBatch batch;
  batch.timestamp = 1e9 + static_cast<double>(from);
  if (from == 0) batch.events.emplace_back(kv_events::AllCleared{});
  for (std::size_t block = from; block < end; ++block) {
    if (block == from || block % kConversation == 0) {
      BlocksStored stored;
      if (block % kConversation != 0) stored.parent = key_of(worker, block - 1);
      batch.events.emplace_back(std::move(stored));
    }
    auto& stored = std::get<BlocksStored>(batch.events.back());
    stored.blocks.push_back(key_of(worker, block));
    for (std::size_t i = 0; i < stored.block_size; ++i)
      stored.tokens.push_back(static_cast<TokenId>((block * 7919 + i * 10473) % 49152));
  }
  return batch;
}

/// What every worker says, in the order of its numbers.
struct Told {
  explicit Told(std::size_t workers) : updates(workers), events(workers) {
    std::unordered_set<BlockKey> blocks;
    for (std::size_t worker = 0; worker < workers; ++worker) tell(worker, kBlocks / workers, blocks);
    distinct = blocks.size();
  }
  void tell(std::size_t worker, std::size_t count, std::unordered_set<BlockKey>& blocks) {
    for (std::size_t at = 0; at < count; at += kPerMessage) {
      const std::size_t end = std::min(count, at + kPerMessage);
      wire::KvUpdate update{node_of(worker), kModel, at / kPerMessage + 1, at == 0, {}, {}};
      for (std::size_t block = at; block < end; ++block) update.stored.push_back(key_of(worker, block));
      blocks.insert(update.stored.begin(), update.stored.end());
      updates[worker].push_back(wire::pack(update));
      events[worker].push_back(kv_events::encode(batch_of(worker, at, end)));
    }
  }

  std::vector<std::vector<wire::Envelope>> updates;
  std::vector<std::vector<std::vector<std::uint8_t>>> events;
  std::size_t distinct = 0;
};

/// A router that has just started and knows its workers' names.
std::unique_ptr<RouterState> new_router(std::size_t workers) {
  router::RouterOptions options;
  options.node = {99, 99};
  options.event_sources = workers;
  auto state = std::move(*RouterState::create(options));
  for (std::size_t worker = 0; worker < workers; ++worker) {
    wire::Join join;
    join.node = node_of(worker);
    join.name = "decode-" + std::to_string(worker);
    join.control_address = "tcp://n" + std::to_string(worker);
    join.data_address = "tcp://d" + std::to_string(worker);
    join.models = {{"m", kModel, 8192, 1, 1, "n"}};
    actors::Outbox out;
    state->receive(join.control_address, wire::pack(join), kNow, out);
  }
  return state;
}

void hear_updates(RouterState& state, const Told& told, std::size_t worker) {
  actors::Outbox out;
  const std::string from = "tcp://n" + std::to_string(worker);
  for (const wire::Envelope& update : told.updates[worker]) state.receive(from, update, kNow, out);
}

/// The first batch as it is published, the others as the replay that the router then asks for.
void hear_events(RouterState& state, const Told& told, std::size_t worker) {
  actors::Outbox out;
  std::string topic = "kv@" + to_hex(node_of(worker)) + "@m";
  std::uint64_t number = 0;
  for (const auto& payload : told.events[worker]) {
    state.on_kv_events(worker, topic, number++, payload, kNow, out);
    topic.clear();
  }
  state.on_replay_ended(worker, kNow, out);
}

/// range(0): workers.
template <class Hear>
void rebuild(benchmark::State& state, Hear hear) {
  const auto workers = static_cast<std::size_t>(state.range(0));
  const Told told(workers);
  std::vector<double> seconds;
  for (auto _ : state) {
    auto fresh = new_router(workers);
    const auto begin = Steady::now();
    for (std::size_t worker = 0; worker < workers; ++worker) hear(*fresh, told, worker);
    seconds.push_back(std::chrono::duration<double>(Steady::now() - begin).count());
    state.SetIterationTime(seconds.back());
    const PrefixIndex& index = fresh->prefixes().index();
    if (index.size() != told.distinct || fresh->prefixes().exact_feeds() != workers)
      return state.SkipWithError("the router does not know what it was told");
  }
  std::ranges::sort(seconds);
  state.counters["blocks"] = static_cast<double>(kBlocks);
  state.counters["of_bar"] = seconds[seconds.size() / 2] / kBarSeconds;
  state.counters["worst_of_bar"] = seconds.back() / kBarSeconds;
}

void BM_RebuildFromSnapshots(benchmark::State& state) {
  rebuild(state, hear_updates);
}
BENCHMARK(BM_RebuildFromSnapshots)
    ->Arg(8)
    ->Arg(1000)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

void BM_RebuildFromEvents(benchmark::State& state) {
  rebuild(state, hear_events);
}
BENCHMARK(BM_RebuildFromEvents)
    ->Arg(8)
    ->Arg(1000)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
