// Pools on leased CPUs: where their threads run, and that results know nothing of it. Two threads where the machine has two
// CPUs, one otherwise.
#include <sched.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <latch>
#include <thread>

#include "common/backend/cpu/core_lease.hpp"
#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/thread_pool.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

using Cpus = std::vector<std::uint32_t>;

class PinnedPool : public ::testing::Test {
 protected:
  PinnedPool() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe-lease-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    places_ = cpu::usable_places();
    threads_ = std::min<std::uint32_t>(2, cpu::usable_cpus());
  }
  ~PinnedPool() override { std::filesystem::remove_all(folder_); }

  cpu::CoreLease lease(std::uint32_t wanted) { return cpu::lease_cores(wanted, places_, folder_); }

  /// The kernel's mask of the calling thread.
  static Cpus mask() {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    Cpus cpus;
    for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
  }
  /// Per worker, the mask it runs under. Every worker takes part: a task holds its thread until all have one.
  static std::vector<Cpus> masks(cpu::ThreadPool& pool) {
    std::vector<Cpus> found(pool.threads());
    std::latch all(pool.threads());
    pool.run(pool.threads(), [&](std::uint32_t, std::uint32_t worker) {
      all.arrive_and_wait();
      found[worker] = mask();
      EXPECT_TRUE(std::ranges::count(found[worker], static_cast<std::uint32_t>(sched_getcpu())) == 1);
    });
    return found;
  }

  std::string folder_;
  std::vector<cpu::CpuPlace> places_;
  std::uint32_t threads_ = 1;
};

TEST_F(PinnedPool, RunsEachWorkerOnItsCpuAndTheCallerOnlyWhileItHoldsItsThread) {
  const Cpus before = mask();
  const std::uint32_t usable = cpu::usable_cpus();
  cpu::CoreLease taken = lease(threads_);
  ASSERT_EQ(taken.outcome(), cpu::LeaseOutcome::leased);
  const Cpus leased(taken.cpus().begin(), taken.cpus().end());
  cpu::ThreadPool pool(threads_, std::move(taken));
  EXPECT_TRUE(pool.pinned());
  EXPECT_TRUE(pool.spins());
  std::vector<Cpus> found = masks(pool);
  EXPECT_EQ(found[0], before);
  for (std::uint32_t worker = 1; worker < threads_; ++worker) EXPECT_EQ(found[worker], (Cpus{leased[worker]}));
  {
    const auto hold = pool.hold_thread();
    EXPECT_EQ(masks(pool)[0], (Cpus{leased[0]}));
    EXPECT_EQ(cpu::usable_cpus(), usable);
    EXPECT_EQ(cpu::affinity_cpus(), before) << "what it may use, not where it is held";
    const auto again = pool.hold_thread();
    EXPECT_EQ(mask(), (Cpus{leased[0]}));
  }
  EXPECT_EQ(mask(), before);
}

TEST(CrowdWatch, SendsAThreadAwayFromACpuItWaitsForAndBringsItBack) {
  using namespace std::chrono_literals;
  cpu::CrowdWatch watch;
  EXPECT_FALSE(watch.update(1s, 700ms)) << "what was before counts for nothing";
  EXPECT_FALSE(watch.update(1100ms, 705ms)) << "a twentieth";
  EXPECT_FALSE(watch.update(1150ms, 740ms)) << "too short to tell";
  EXPECT_TRUE(watch.update(1200ms, 740ms));
  EXPECT_TRUE(watch.update(2s, 740ms));
  EXPECT_FALSE(watch.update(3200ms, 740ms)) << "two seconds later";
  EXPECT_TRUE(watch.update(3300ms, 746ms));
  EXPECT_TRUE(watch.update(5200ms, 1s)) << "still crowded where it went: longer";
  EXPECT_TRUE(watch.update(7100ms, 1s));
  EXPECT_FALSE(watch.update(7200ms, 1s));
}

TEST_F(PinnedPool, LeavesAPoolThatABoundThreadMakesFree) {
  const Cpus before = mask();
  cpu::ThreadPool pinned(1, lease(1));
  const auto hold = pinned.hold_thread();
  cpu::ThreadPool free(3);
  EXPECT_FALSE(free.pinned());
  EXPECT_EQ(free.hold_thread(), nullptr);
  const std::vector<Cpus> found = masks(free);
  EXPECT_EQ(found[1], before);
  EXPECT_EQ(found[2], before);
}

TEST_F(PinnedPool, NeitherPinsNorSpinsWhenOversubscribed) {
  const Cpus before = mask();
  const auto all = static_cast<std::uint32_t>(places_.size());
  const cpu::CoreLease neighbour = lease(all);
  cpu::ThreadPool pool(threads_, lease(threads_));
  EXPECT_FALSE(pool.pinned());
  EXPECT_FALSE(pool.spins());
  for (const Cpus& found : masks(pool)) EXPECT_EQ(found, before);
  EXPECT_EQ(mask(), before);
  EXPECT_TRUE(cpu::ThreadPool(1).spins());
  EXPECT_FALSE(cpu::ThreadPool(all + 1).spins()) << "without a lease, by count";
}

TEST_F(PinnedPool, GivesItsCpusBack) {
  const auto all = static_cast<std::uint32_t>(places_.size());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(cpu::ThreadPool(all, lease(all)).pinned());
}

TEST_F(PinnedPool, ChangesNoBitOfABackend) {
  const char* set = getenv("XDG_RUNTIME_DIR");
  const std::string old = set == nullptr ? "" : set;
  setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  Numbers numbers(7);
  const auto values = numbers.many(256 * 128), x = numbers.many(9 * 128);
  const auto product = [&](const CpuOptions& options) {
    Rig rig;
    rig.backend = std::move(*make_cpu_backend(options));
    rig.stream = rig.backend->make_stream();
    EXPECT_EQ(rig.backend->info().name.find("pinned") != std::string::npos, options.pin_threads);
    const auto hold = rig.backend->hold_thread();
    EXPECT_EQ(hold != nullptr, options.pin_threads);
    const auto matrix = rig.matrix(gguf::TensorType::q4_1, 256, 128, blocks_of(gguf::TensorType::q4_1, values));
    return rig.linear(x, 9, *matrix);
  };
  CpuOptions options;
  options.threads = threads_;
  const auto free = product(options);
  options.pin_threads = true;
  EXPECT_TRUE(same_bits(free, product(options)));
  set == nullptr ? unsetenv("XDG_RUNTIME_DIR") : setenv("XDG_RUNTIME_DIR", old.c_str(), 1);
}

}  // namespace
}  // namespace troupe::backend::test
