#pragma once
// The backend's compute threads. A job is a number of tasks with fixed contents. Each thread has a range of them, which it
// claims in order, so that what one thread reads is one stream; whoever is through with its own takes the last of another's,
// so a sleeping or preempted worker delays nobody. Which thread runs a task can never show in a result.
//
// Waiting spins for some microseconds (the gap between two ops of a step) and then parks, so an idle backend costs nothing.
// With a lease of CPUs each worker stays on its own; the thread that calls run() does only while it has a hold_thread(),
// because loading and tests call from threads that have other work. A thread whose CPU somebody else uses roams for a while.
// Where CPUs are fewer than threads nothing spins or is pinned.
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/backend/cpu/core_lease.hpp"

namespace troupe::backend::cpu {

/// Denormals are kept and rounding is to nearest in every compute thread, whatever the caller's thread is set to.
class FloatState {
 public:
  FloatState();
  ~FloatState();
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;

 private:
  std::uint32_t saved_;
};

class ThreadPool {
 public:
  /// `threads` counts the caller of run(), so threads - 1 are started.
  /// `lease` holds that many CPUs or none.
  explicit ThreadPool(std::uint32_t threads, CoreLease lease = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] std::uint32_t threads() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  [[nodiscard]] bool spins() const { return spins_ > 0; }
  [[nodiscard]] bool pinned() const { return lease_.outcome() == LeaseOutcome::leased; }
  /// Keeps the calling thread on the CPU left for the caller of run(). Null without a lease. Let go before the pool, on the
  /// same thread. Threads: one holds it.
  [[nodiscard]] std::unique_ptr<ThreadHold> hold_thread();

  /// Runs body(task, worker) for task in [0, tasks), worker in [0, threads()); returns when all are done. Not re-entrant.
  /// Threads: any; calls take turns.
  template <class Body>
  void run(std::uint32_t tasks, const Body& body) {
    run_erased(tasks, [](const void* context, std::uint32_t task, std::uint32_t worker) {
      (*static_cast<const Body*>(context))(task, worker);
    }, &body);
  }

  /// Bytes that the next job will read, evenly by its tasks: idle workers ask the memory for the first `most` of their own
  /// shares until it comes. Replaces what was set before.
  void prefetch_while_idle(const std::byte* data, std::size_t bytes, std::size_t most);

  static constexpr std::uint32_t kMaxTasks = 65535;

 private:
  using Function = void (*)(const void* context, std::uint32_t task, std::uint32_t worker);

  void run_erased(std::uint32_t tasks, Function function, const void* context);
  void work(std::uint32_t worker);
  /// Runs tasks until there are none to claim. False: there were none.
  bool claim_and_run(std::uint32_t worker);
  [[nodiscard]] bool claimable() const;
  void park();
  bool prefetch_some(std::uint32_t worker);

  /// One thread's tasks of the job.
  struct alignas(64) Share {
    // epoch (32 bits) | end (16) | next (16): a claim is one compare-and-swap, and the epoch makes a late one harmless.
    std::atomic<std::uint64_t> ticket{0};
    // Addresses; a torn pair is harmless, for a prefetch never faults.
    std::atomic<std::uintptr_t> ahead{0};
    std::atomic<std::uintptr_t> ahead_end{0};
  };
  std::vector<Share> shares_;  ///< by worker
  alignas(64) std::atomic<std::uint32_t> done_{0};
  std::atomic<bool> caller_parked_{false};
  std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<bool> stop_{false};
  // Written before a job's tickets, read only by who holds a claim of it.
  alignas(64) std::uint32_t tasks_ = 0;
  std::uint64_t epoch_ = 0;
  Function function_ = nullptr;
  const void* context_ = nullptr;

  const CoreLease lease_;
  const std::uint32_t spins_;
  std::mutex turn_;   ///< one job at a time
  std::mutex mutex_;  ///< guards both condition variables
  std::condition_variable wake_;
  std::condition_variable finished_;
  std::vector<std::thread> workers_;
};

}  // namespace troupe::backend::cpu
