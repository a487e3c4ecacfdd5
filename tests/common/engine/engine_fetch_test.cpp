// Pages that left memory come back from disk, and nothing but time tells.
#include <semaphore>

#include "tests/common/engine/rig.hpp"
#include "tests/common/kv/disk/memory_folder.hpp"

namespace troupe::engine {
namespace {

using kv::disk::MemoryDisk;
using kv::disk::MemoryFolder;

/// Engines over one disk, one after another or side by side.
struct DiskRig {
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  EngineSetup setup;
  ManualClock clock;  // stands: reading is not compared with computing, and no patience ends

  DiskRig() {
    setup.clock = &clock;
    setup.options.disk.path = "disk";
    setup.options.disk.capacity_bytes = 64u << 20;
    setup.options.disk.retry = std::chrono::hours(1);
    setup.options.disk.folder =
        [this](const std::string& parent) -> Expected<std::unique_ptr<kv::disk::Folder>> {
      EXPECT_EQ(parent.find("disk/"), 0u);
      return std::make_unique<MemoryFolder>(disk);
    };
  }
  static std::size_t page_bytes() {
    static const std::size_t bytes = [] {
      auto engine = make_engine({});
      return engine->layer_page_bytes() * engine->layers();
    }();
    return bytes;
  }
  std::unique_ptr<Engine> engine() { return make_engine(setup); }
};

Request prompt_of(std::uint64_t id, std::uint32_t tokens, TokenId salt = 0) {
  Request request;
  request.id = {9, id};
  for (std::uint32_t i = 0; i < tokens; ++i)
    request.prompt.push_back(static_cast<TokenId>((i * 7 + salt * 31) % 250));
  request.max_tokens = 6;
  return request;
}

/// Steps until nothing is left to do, the writing included; waits where only the disk can go on.
Answers finish(Engine& engine) {
  std::counting_semaphore<> told(0);
  engine.on_ready([&] { told.release(); });
  Answers answers;
  while (engine.has_work()) {
    const StepOutput out = engine.step();
    collect(out, answers);
    if (out.rows == 0 && out.pages_moved == 0 && out.tokens.empty() && out.kv.empty() && engine.has_work())
      (void)told.try_acquire_for(std::chrono::seconds(1));
  }
  engine.on_ready({});
  return answers;
}

Answer answer_of(Engine& engine, const Request& request) {
  EXPECT_TRUE(engine.submit(request).has_value());
  Answers answers = finish(engine);
  return answers[{request.id, 0}];
}

/// Until everything released is on disk.
void settle(Engine& engine, std::uint64_t pages) {
  while (engine.stats().disk.pages < pages) (void)finish(engine);
  (void)finish(engine);
}

TEST(EngineFetch, ARestartedEngineFindsItsPromptsOnDisk) {
  for (const backend::KvCodec codec : {backend::KvCodec::f16, backend::KvCodec::int8}) {
    DiskRig rig;
    rig.setup.cpu.kv_codec = codec;
    const Request request = prompt_of(1, 200);
    EngineSetup plain;
    plain.cpu.kv_codec = codec;
    const Answer expected = answer_of(*make_engine(plain), request);
    {
      auto first = rig.engine();
      EXPECT_EQ(answer_of(*first, request), expected);
      EXPECT_EQ(first->stats().disk.misses, 3u);
      settle(*first, 3);
    }
    auto second = rig.engine();
    EXPECT_EQ(second->stats().disk.pages, 3u);
    EXPECT_EQ(second->disk_blocks().size(), 12u);
    const Answer answer = answer_of(*second, request);
    EXPECT_EQ(answer, expected);
    EXPECT_EQ(answer.cached_tokens, 192u);
    EXPECT_EQ(second->stats().disk.hits, 3u);
    EXPECT_EQ(second->stats().prompt_tokens, 8u) << "the rest was not computed";
    EXPECT_EQ(second->stats().pages_free + second->stats().pages_cached, second->stats().pages_total);
  }
}

TEST(EngineFetch, WhatMemoryEvictsComesBackAndEveryAnswerIsTheSame) {
  for (const auto when : {kv::disk::WriteWhen::released, kv::disk::WriteWhen::evicted}) {
    DiskRig rig;
    rig.setup.options.disk.write = when;
    rig.setup.options.kv_bytes = 12 * DiskRig::page_bytes();
    auto plain = make_engine({}), engine = rig.engine();
    for (int round = 0; round < 3; ++round) {
      for (std::uint64_t i = 0; i < 8; ++i) {
        Request request = prompt_of(round * 8 + i + 1, 260, static_cast<TokenId>(i));
        request.sampling.seed = i;
        EXPECT_EQ(answer_of(*engine, request), answer_of(*plain, request));
      }
    }
    const EngineStats stats = engine->stats();
    EXPECT_GT(stats.disk.hits, 40u) << "eight prompts of four pages do not fit in twelve";
    EXPECT_EQ(stats.disk.errors, 0u);
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  }
}

TEST(EngineFetch, MixedRequestsUnderPressureSayWhatTheyAlwaysSay) {
  DiskRig rig;
  rig.setup.options.kv_bytes = 10 * DiskRig::page_bytes();
  auto plain = make_engine({}), engine = rig.engine();
  const auto requests = mixed_requests(40, plain->model().config().vocab);
  const Answers expected = run_alone(*plain, requests);
  for (int round = 0; round < 2; ++round) {
    Answers answers;
    for (const Request& request : requests) {
      while (!engine->submit(request)) collect(engine->step(), answers);
    }
    answers.merge(finish(*engine));
    EXPECT_EQ(answers, expected);
  }
  EXPECT_GT(engine->stats().disk.hits, 0u);
}

TEST(EngineFetch, TenantsAndModelsNeverMeetOnDisk) {
  DiskRig rig;
  Request request = prompt_of(1, 200);
  {
    auto first = rig.engine();
    (void)answer_of(*first, request);
    settle(*first, 3);
  }
  auto same = rig.engine();
  request.tenant = "another";
  EXPECT_EQ(answer_of(*same, request).cached_tokens, 0u);
  EXPECT_EQ(same->stats().disk.hits, 0u);
  rig.setup.shape = "tiny-qwen3";
  EXPECT_EQ(rig.engine()->stats().disk.pages, 0u);
}

TEST(EngineFetch, ADiskThatHangsCostsPatienceAndNoAnswer) {
  DiskRig rig;
  const Request request = prompt_of(1, 200);
  Answer expected;
  {
    auto first = rig.engine();
    expected = answer_of(*first, request);
    settle(*first, 3);
  }
  auto engine = rig.engine();
  rig.disk->holds_reads = true;
  ASSERT_TRUE(engine->submit(request).has_value());
  Answers answers;
  for (int i = 0; i < 50; ++i) collect(engine->step(), answers);
  EXPECT_TRUE(answers.empty()) << "it waits";
  EXPECT_EQ(engine->stats().waiting, 1u);
  // Others are not held up by it.
  const Request other = prompt_of(2, 30, 5);
  ASSERT_TRUE(engine->submit(other).has_value());
  for (int i = 0; i < 50; ++i) collect(engine->step(), answers);
  EXPECT_EQ(answers[std::make_pair(other.id, 0u)].tokens.size(), 6u);
  rig.clock.advance(std::chrono::seconds(1));
  for (int i = 0; i < 50; ++i) collect(engine->step(), answers);
  const auto key = std::make_pair(request.id, 0u);
  EXPECT_EQ(answers[key], expected);
  EXPECT_EQ(answers[key].cached_tokens, 0u);
  rig.disk->release_reads();
  (void)finish(*engine);
  EXPECT_EQ(engine->stats().pages_free + engine->stats().pages_cached, engine->stats().pages_total);
}

TEST(EngineFetch, ADamagedPageIsComputedAgain) {
  DiskRig rig;
  const Request request = prompt_of(1, 300);
  Answer expected;
  {
    auto first = rig.engine();
    expected = answer_of(*first, request);
    settle(*first, 4);
  }
  // Flipped after the store was opened, where nothing but the read can see it.
  auto engine = rig.engine();
  const auto third =
      kv::disk::record_offset({{}, DiskRig::page_bytes()}, 1) + kv::disk::kRecordHeaderBytes + 100;
  rig.disk->files.begin()->second->at(third) ^= std::byte{1};
  const Answer answer = answer_of(*engine, request);
  EXPECT_EQ(answer, expected);
  EXPECT_LT(answer.cached_tokens, 256u);
  EXPECT_EQ(engine->stats().disk.errors, 1u);
}

TEST(EngineFetch, CancelledAndExpiredRequestsFreeWhatTheyWaitedFor) {
  DiskRig rig;
  Request request = prompt_of(1, 200);
  {
    auto first = rig.engine();
    (void)answer_of(*first, request);
    settle(*first, 3);
  }
  auto engine = rig.engine();
  rig.disk->holds_reads = true;
  ASSERT_TRUE(engine->submit(request).has_value());
  EXPECT_EQ(engine->stats().pages_reserved, 3u);
  engine->cancel(request.id);
  EXPECT_TRUE(engine->step().tokens.empty());
  EXPECT_EQ(engine->stats().pages_free, engine->stats().pages_total);
  request.deadline = rig.clock.now() + std::chrono::milliseconds(10);
  ASSERT_TRUE(engine->submit(request).has_value());
  rig.clock.advance(std::chrono::milliseconds(20));
  const StepOutput out = engine->step();
  ASSERT_EQ(out.tokens.size(), 1u);
  EXPECT_EQ(out.tokens[0].error->code, Errc::deadline_exceeded);
  EXPECT_EQ(engine->stats().pages_free, engine->stats().pages_total);
  rig.disk->release_reads();
  EXPECT_TRUE(finish(*engine).empty());
}

TEST(EngineFetch, OneReadServesAllWhoWaitForThePage) {
  DiskRig rig;
  {
    auto first = rig.engine();
    (void)answer_of(*first, prompt_of(1, 200));
    settle(*first, 3);
  }
  auto engine = rig.engine(), plain = make_engine({});
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 6; ++i) {
    Request request = prompt_of(i + 1, 200);
    for (std::uint64_t j = 0; j < i; ++j) request.prompt.push_back(static_cast<TokenId>(i));
    requests.push_back(request);
  }
  const Answers expected = run_alone(*plain, requests);
  for (const Request& request : requests) ASSERT_TRUE(engine->submit(request).has_value());
  const Answers answers = finish(*engine);
  EXPECT_EQ(answers, expected);
  for (const auto& [key, answer] : answers) EXPECT_GE(answer.cached_tokens, 192u);
  EXPECT_EQ(engine->stats().disk.hits, 3u);
}

TEST(EngineFetch, AFullDiskFailsNoRequest) {
  DiskRig rig;
  rig.disk->room = 3 * DiskRig::page_bytes() / 2;
  rig.setup.options.kv_bytes = 8 * DiskRig::page_bytes();
  auto engine = rig.engine(), plain = make_engine({});
  for (std::uint64_t i = 1; i <= 6; ++i) {
    const Request request = prompt_of(i, 260, static_cast<TokenId>(i));
    EXPECT_EQ(answer_of(*engine, request), answer_of(*plain, request));
  }
  EXPECT_TRUE(engine->stats().disk.paused);
  EXPECT_EQ(engine->stats().disk.errors, 1u);
}

TEST(EngineFetch, ADiskThatCannotBeOpenedIsSaidAndDoneWithout) {
  DiskRig rig;
  rig.setup.options.disk.folder = [](const std::string&) -> Expected<std::unique_ptr<kv::disk::Folder>> {
    return fail(Errc::io_failed, "permission denied");
  };
  auto engine = rig.engine();
  EXPECT_TRUE(engine->stats().disk.paused);
  EXPECT_EQ(answer_of(*engine, prompt_of(1, 200)).tokens.size(), 6u);
}

TEST(EngineFetch, EventsTellTiersApart) {
  DiskRig rig;
  auto engine = rig.engine();
  ASSERT_TRUE(engine->submit(prompt_of(1, 130)).has_value());
  std::map<Tier, std::set<BlockKey>> stored;
  while (engine->stats().disk.pages < 2 || engine->has_work())
    for (const KvEvent& event : engine->step().kv) {
      EXPECT_TRUE(event.stored && event.origin);
      stored[event.tier].insert(event.key);
    }
  EXPECT_EQ(stored[Tier::memory].size(), 8u);
  EXPECT_EQ(stored[Tier::disk], stored[Tier::memory]);
  const auto on_disk = engine->disk_blocks();
  EXPECT_EQ(std::set<BlockKey>(on_disk.begin(), on_disk.end()), stored[Tier::disk]);
}

TEST(EngineFetch, APrefillForOthersStartsFromDiskToo) {
  DiskRig rig;
  const Request request = prompt_of(1, 256);
  {
    auto first = rig.engine();
    (void)answer_of(*first, request);
    settle(*first, 4);
  }
  auto engine = rig.engine();
  std::uint32_t offered = 0;
  ASSERT_TRUE(engine
                  ->submit_prefill(request, 256,
                                   [&](const PrefillProgress& p) {
                                     if (p.layer == 0) offered += static_cast<std::uint32_t>(p.pages.size());
                                     return true;
                                   })
                  .has_value());
  (void)finish(*engine);
  EXPECT_EQ(offered, 4u);
  EXPECT_EQ(engine->stats().prompt_tokens, 0u) << "nothing was computed";
  engine->release_prefill(request.id);
}

}  // namespace
}  // namespace troupe::engine
