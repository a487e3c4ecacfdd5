// Around the ops: threads, graphs, copies, options.
#include <xmmintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/thread_pool.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceWhateverTheCounts) {
  for (const std::uint32_t threads : {1U, 2U, 3U, 8U}) {
    cpu::ThreadPool pool(threads);
    for (std::uint32_t round = 0; round < 300; ++round) {
      const std::uint32_t tasks = round % 40;
      std::vector<std::atomic<int>> done(tasks);
      pool.run(tasks, [&](std::uint32_t task, std::uint32_t worker) {
        ASSERT_LT(worker, threads);
        done[task].fetch_add(1);
      });
      for (const auto& count : done) ASSERT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, GivesAThreadItsOwnTasksInOrderAndThenTheLastOfAnothers) {
  constexpr std::uint32_t kThreads = 3;
  constexpr std::uint32_t kTasks = 60;
  cpu::ThreadPool pool(kThreads);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::vector<std::uint32_t>> ran(kThreads);
    pool.run(kTasks, [&](std::uint32_t task, std::uint32_t worker) { ran[worker].push_back(task); });
    for (std::uint32_t worker = 0; worker < kThreads; ++worker) {
      const auto owned = [&](std::uint32_t task) { return task / (kTasks / kThreads) == worker; };
      const auto others = std::find_if_not(ran[worker].begin(), ran[worker].end(), owned);
      EXPECT_TRUE(std::is_sorted(ran[worker].begin(), others));
      EXPECT_TRUE(std::none_of(others, ran[worker].end(), owned)) << "its own come first";
    }
  }
}

TEST(ThreadPool, LetsOthersDoTheTasksOfAThreadThatIsHeldUp) {
  cpu::ThreadPool pool(2);
  std::atomic<std::uint32_t> others{0};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  pool.run(20, [&](std::uint32_t task, std::uint32_t) {
    if (task != 0) {
      others.fetch_add(1);
      return;
    }
    while (others.load() < 19 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_EQ(others.load(), 19U) << "done while this task held its thread";
  });
}

TEST(ThreadPool, TakesCallsFromSeveralThreadsInTurn) {
  cpu::ThreadPool pool(3);
  std::atomic<int> inside{0};
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        int sum = 0;
        std::atomic<int> mine{0};
        pool.run(5, [&](std::uint32_t, std::uint32_t) {
          inside.fetch_add(1);
          mine.fetch_add(1);
          inside.fetch_sub(1);
        });
        sum += mine.load();
        total.fetch_add(sum);
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4 * 100 * 5);
  EXPECT_EQ(inside.load(), 0);
}

TEST(ThreadPool, KeepsDenormalsWhateverTheCallersThreadDoes) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // flush to zero, denormals are zero
  cpu::ThreadPool pool(2);
  std::vector<float> results(8);
  volatile float tiny = 1e-38F;
  pool.run(8, [&](std::uint32_t task, std::uint32_t) { results[task] = tiny * 0.1F; });
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & 0x8040, 0x8040U) << "the caller's state comes back";
  for (const float value : results) EXPECT_GT(value, 0.0F);
}

TEST(CpuInfo, ReadsQuotas) {
  EXPECT_EQ(cpu::cpus_of_quota("max 100000"), 0U);
  EXPECT_EQ(cpu::cpus_of_quota("200000 100000"), 2U);
  EXPECT_EQ(cpu::cpus_of_quota("250000 100000"), 2U);
  EXPECT_EQ(cpu::cpus_of_quota("50000 100000"), 1U);
  EXPECT_EQ(cpu::cpus_of_quota("-1 100000"), 0U);
  EXPECT_EQ(cpu::cpus_of_quota(" "), 0U);
  EXPECT_EQ(cpu::cpus_of_quota("100000"), 0U);
  EXPECT_GE(cpu::usable_cpus(), 1U);
}

TEST(Backend, NamesItsNumericsTheSameOnEveryInstructionSet) {
  for (const Isa isa : supported_isas()) {
    EXPECT_EQ(Rig(isa, 1).backend->numerics_id(), "arith3-act32r-kvf16");
    EXPECT_EQ(Rig(isa, 1, Numerics::fast, KvCodec::int8).backend->numerics_id(), "arith3-act32r-kvi8");
    EXPECT_EQ(Rig(isa, 3, Numerics::reference).backend->numerics_id(), "arith1-ref-kvf32");
    EXPECT_EQ(Rig(isa, 3).backend->info().isa, isa);
    EXPECT_EQ(Rig(isa, 3).backend->info().threads, 3U);
  }
  EXPECT_EQ(supported_isas().front(), Isa::scalar);
}

TEST(Backend, RefusesWhatItCannotHold) {
  Rig rig;
  EXPECT_EQ(rig.backend->allocate(std::size_t{1} << 62).error().code, Errc::does_not_fit);
  EXPECT_EQ(make_cpu_backend({.threads = 100000, .isa = Isa::scalar, .numerics = Numerics::fast}).error().code,
            Errc::invalid_argument);
}

TEST(Graph, ReplaysToTheSameBytesWithNewInputs) {
  Rig rig(Isa::automatic, 2);
  Numbers numbers(1);
  const auto matrix = rig.matrix(gguf::TensorType::q4_1, 64, 64, blocks_of(gguf::TensorType::q4_1, numbers.many(64 * 64)));
  const auto norm = rig.vector(numbers.many(64));
  const auto first = numbers.many(3 * 64);
  const auto second = numbers.many(3 * 64);
  Held x = rig.floats(3, 64, first);
  Held prepared = rig.activation(3, 64);
  Held out = rig.empty(3, 64);
  const auto step = [&] {
    rig.backend->norm_prepare(*rig.stream, x.ref, *norm, 1e-5F, prepared.ref);
    rig.backend->linear(*rig.stream, prepared.ref, *matrix, nullptr, out.ref);
    rig.backend->add(*rig.stream, out.ref, x.ref, out.ref);
  };
  std::vector<std::vector<float>> direct;
  for (const auto* input : {&first, &second}) {
    rig.backend->upload(*rig.stream, *x.buffer, 0, std::as_bytes(std::span(*input)));
    step();
    direct.push_back(rig.read(out));
  }
  const Held cleared = rig.floats(3, 64, std::vector<float>(3 * 64, 0.0F));
  rig.backend->copy(*rig.stream, *out.buffer, 0, *cleared.buffer, 0, 3 * 64 * 4);
  rig.backend->begin_capture(*rig.stream);
  step();
  const auto graph = rig.backend->end_capture(*rig.stream);
  EXPECT_TRUE(same_bits(rig.read(out), std::vector<float>(3 * 64, 0.0F))) << "capturing computes nothing";
  std::size_t i = 0;
  for (const auto* input : {&first, &second}) {
    rig.backend->upload(*rig.stream, *x.buffer, 0, std::as_bytes(std::span(*input)));
    rig.backend->launch(*rig.stream, *graph);
    EXPECT_TRUE(same_bits(direct[i++], rig.read(out)));
  }
}

TEST(Copies, MoveBytesBetweenOffsets) {
  Rig rig;
  const auto a = std::move(rig.backend->allocate(16).value());
  const auto b = std::move(rig.backend->allocate(16).value());
  const std::vector<std::uint8_t> in = {1, 2, 3, 4};
  rig.backend->upload(*rig.stream, *a, 3, std::as_bytes(std::span(in)));
  rig.backend->copy(*rig.stream, *b, 8, *a, 2, 5);
  std::vector<std::uint8_t> out(16);
  rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(out)), *b, 0);
  EXPECT_EQ(out, (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0}));
  const auto event = rig.backend->make_event();
  rig.backend->record(*rig.stream, *event);
  EXPECT_TRUE(rig.backend->done(*event));
}

TEST(BackendDeathTest, StopsOnShapesThatDoNotAgree) {
  Rig rig;
  Held a = rig.empty(2, 4);
  Held b = rig.empty(2, 5);
  EXPECT_DEATH(rig.backend->add(*rig.stream, a.ref, b.ref, a.ref), "shapes");
  TensorRef far = a.ref;
  far.rows = 3;
  EXPECT_DEATH(rig.backend->softcap(*rig.stream, far, 1.0F), "outside");
  AttentionBatch batch;
  batch.rows = {{0, 65, 0, 0}};
  batch.table_begin = {0};
  batch.tables = {0};
  EXPECT_DEATH((void)rig.backend->plan_attention(*rig.stream, batch), "page table");
}

}  // namespace
}  // namespace troupe::backend::test
