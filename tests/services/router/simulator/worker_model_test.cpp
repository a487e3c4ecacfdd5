#include "services/router/simulator/worker_model.hpp"

#include <gtest/gtest.h>

#include <map>

namespace troupe::router {
namespace {

using Blocks = std::vector<std::uint64_t>;

/// A worker whose step takes 1 ms and 1 us per prompt token.
struct Rig {
  explicit Rig(std::uint32_t pages = 1000, std::uint32_t chunk = 512) : worker(spec(pages, chunk)) {}
  static WorkerSpec spec(std::uint32_t pages, std::uint32_t chunk) {
    WorkerSpec out;
    out.step = {1000, 1, 10, 0};
    out.pages = pages;
    out.chunk_tokens = chunk;
    return out;
  }
  bool submit(std::uint32_t id, std::uint32_t prompt, std::uint32_t output, const Blocks& blocks,
              bool imported = false) {
    kept[id] = blocks;
    return worker.submit({id, 1, prompt, output, &kept[id], imported});
  }
  /// Steps until nothing is left; what came, by request, and the time.
  void drain() {
    while (const auto takes = worker.begin_step()) {
      elapsed += *takes;
      for (const auto& token : worker.end_step().tokens) {
        tokens[token.request] += !token.prefilled;
        if (token.first) firsts[token.request] = elapsed;
        cached[token.request] = token.cached;
        over[token.request] |= token.last;
      }
      ASSERT_LT(++steps, 100000u);
    }
  }
  WorkerModel worker;
  std::map<std::uint32_t, Blocks> kept;
  std::map<std::uint32_t, std::uint32_t> tokens, cached;
  std::map<std::uint32_t, Duration> firsts;
  std::map<std::uint32_t, bool> over;
  Duration elapsed{};
  std::size_t steps = 0;
};

TEST(WorkerModel, ComputesInChunksAndThenATokenAStep) {
  Rig r;
  ASSERT_TRUE(r.submit(1, 1200, 5, {1, 2}));
  r.drain();
  EXPECT_EQ(r.tokens[1], 5u);
  EXPECT_TRUE(r.over[1]);
  EXPECT_EQ(r.steps, 3u + 4u);
  EXPECT_EQ(r.firsts[1], Duration(std::chrono::microseconds(3 * 1000 + 1200)));
  EXPECT_EQ(r.elapsed, r.firsts[1] + Duration(std::chrono::microseconds(4 * 1010)));
  EXPECT_EQ(r.worker.cache().free() + r.worker.cache().evictable(), 1000u) << "all pages are back";
}

TEST(WorkerModel, APrefixIsComputedOnce) {
  Rig r;
  ASSERT_TRUE(r.submit(1, 1030, 1, {1, 2}));
  r.drain();
  ASSERT_TRUE(r.submit(2, 1600, 1, {1, 2, 3}));
  r.drain();
  EXPECT_EQ(r.cached[2], 1024u);
  EXPECT_EQ(r.steps, 3u + 2u);
  ASSERT_TRUE(r.submit(3, 1024, 1, {1, 2}));
  r.drain();
  EXPECT_EQ(r.cached[3], 512u) << "the last token is computed, so its block is";
}

TEST(WorkerModel, PromptsQueueInOrderAndAnswersShareSteps) {
  Rig r;
  ASSERT_TRUE(r.submit(1, 512, 100, {1}));
  ASSERT_TRUE(r.submit(2, 512, 100, {2}));
  r.drain();
  EXPECT_LT(r.firsts[1], r.firsts[2]);
  EXPECT_EQ(r.steps, 102u) << "a stream's row is one of the step's 512: the second prompt takes two steps";
}

TEST(WorkerModel, APromptTakesItsChunkAndTheNextTheRestOfTheStep) {
  WorkerSpec spec = Rig::spec(1000, 256);
  Rig r;
  r.worker = WorkerModel(spec);
  ASSERT_TRUE(r.submit(1, 400, 1, {}));
  ASSERT_TRUE(r.submit(2, 300, 1, {}));
  ASSERT_TRUE(r.submit(3, 500, 1, {}));
  r.drain();
  // 256 + 256; 144 + 44 + 256; 244.
  EXPECT_EQ(r.firsts[1], Duration(std::chrono::microseconds(2 * 1000 + 512 + 444)));
  EXPECT_EQ(r.firsts[2], r.firsts[1]);
  EXPECT_EQ(r.firsts[3], Duration(std::chrono::microseconds(3 * 1000 + 512 + 444 + 244)));
}

TEST(WorkerModel, WithoutPagesItWaitsOrTheYoungestGivesWayAndNothingIsLost) {
  Rig r(40);  // 2,560 tokens
  for (std::uint32_t id = 1; id <= 4; ++id) ASSERT_TRUE(r.submit(id, 700, 600, {id * 10}));
  r.drain();
  for (std::uint32_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(r.tokens[id], 600u) << id;
    EXPECT_TRUE(r.over[id]);
  }
  EXPECT_GT(r.worker.preemptions(), 0u);
  EXPECT_EQ(r.worker.cache().free() + r.worker.cache().evictable(), 40u);
  EXPECT_FALSE(r.submit(9, 2500, 600, {1})) << "it can never fit";
}

TEST(WorkerModel, APrefillWorkerMakesNoTokenAndImportedPagesNeedNoComputing) {
  Rig r;
  ASSERT_TRUE(r.submit(1, 1200, 0, {1, 2}));
  r.drain();
  EXPECT_EQ(r.tokens[1], 0u);
  EXPECT_TRUE(r.over[1]);
  EXPECT_EQ(r.worker.cache().match(Blocks{1, 2}), 2u);
  Rig decode;
  ASSERT_TRUE(decode.submit(1, 1200, 3, {1, 2}, true));
  decode.drain();
  EXPECT_EQ(decode.steps, 3u);
  EXPECT_EQ(decode.worker.cache().match(Blocks{1, 2}), 2u);
}

TEST(WorkerModel, ItsLoadSaysWhatIsQueuedAndFree) {
  Rig r;
  ASSERT_TRUE(r.submit(1, 1200, 50, {1, 2}));
  EXPECT_EQ(r.worker.load({}).queued_prompt_tokens, 1200u);
  EXPECT_EQ(r.worker.load({}).waiting, 1u);
  (void)r.worker.begin_step();
  (void)r.worker.end_step();
  EXPECT_EQ(r.worker.load({}).queued_prompt_tokens, 688u);
  EXPECT_EQ(r.worker.load({}).running, 1u);
  EXPECT_EQ(r.worker.load({}).pages_free, 1000u - 19);
  r.worker.cancel(1);
  EXPECT_EQ(r.worker.load({}).running, 0u);
  EXPECT_EQ(r.worker.load({}).pages_free + r.worker.load({}).pages_cached, 1000u);
}

TEST(WorkerModel, BlocksShorterThanAPageAreCountedInPages) {
  WorkerSpec spec = Rig::spec(100, 512);
  spec.block_tokens = 16;
  WorkerModel worker(spec);
  EXPECT_EQ(worker.load({}).pages_free, 100u);
  const Blocks blocks{1, 2, 3, 4};
  ASSERT_TRUE(worker.submit({1, 1, 64, 10, &blocks, false}));
  (void)worker.begin_step();
  EXPECT_EQ(worker.load({}).pages_free, 98u) << "65 tokens begin a second page";
}

}  // namespace
}  // namespace troupe::router
