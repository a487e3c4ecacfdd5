#include "common/backend/cpu/thread_pool.hpp"

#include <immintrin.h>

#include <utility>

#include "common/backend/cpu/cpu_info.hpp"
#include "common/base/error.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kDefaultMxcsr = 0x1f80;  // all exceptions masked, nearest, no flush to zero, denormals are numbers
constexpr std::uint32_t kSpins = 3000;           // about 100 microseconds of pauses: waking a thread takes as long as some jobs

std::uint64_t make_ticket(std::uint64_t epoch, std::uint64_t tasks) { return epoch << 32 | tasks << 16; }
std::uint32_t next_of(std::uint64_t ticket) { return static_cast<std::uint32_t>(ticket & 0xffff); }
std::uint32_t tasks_of(std::uint64_t ticket) { return static_cast<std::uint32_t>(ticket >> 16 & 0xffff); }

std::uint32_t spins_of(std::uint32_t threads, LeaseOutcome outcome) {
  return outcome == LeaseOutcome::oversubscribed || threads > usable_cpus() ? 0 : kSpins;
}

}  // namespace

FloatState::FloatState() : saved_(_mm_getcsr()) {
  if (saved_ != kDefaultMxcsr) _mm_setcsr(kDefaultMxcsr);
}
FloatState::~FloatState() {
  if (saved_ != kDefaultMxcsr) _mm_setcsr(saved_);
}

ThreadPool::ThreadPool(std::uint32_t threads, CoreLease lease)
    : lease_(std::move(lease)), spins_(spins_of(threads, lease_.outcome())) {
  TROUPE_CHECK(!pinned() || lease_.cpus().size() == threads, "a lease of as many CPUs as threads");
  // A new thread inherits its maker's affinity, which may be bound to one CPU.
  const std::vector<std::uint32_t> anywhere = affinity_cpus();
  for (std::uint32_t worker = 1; worker < threads; ++worker)
    workers_.emplace_back([this, worker, anywhere] {
      set_affinity(anywhere);
      const auto binding = pinned() ? std::make_unique<ThreadBinding>(lease_.cpus()[worker]) : nullptr;
      work(worker);
    });
}

std::unique_ptr<ThreadHold> ThreadPool::hold_thread() {
  return pinned() ? std::make_unique<ThreadBinding>(lease_.cpus().front()) : nullptr;
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::claimable() const {
  const std::uint64_t ticket = ticket_.load(std::memory_order_seq_cst);
  return next_of(ticket) < tasks_of(ticket);
}

bool ThreadPool::claim_and_run(std::uint32_t worker) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (next_of(ticket) < tasks_of(ticket)) {
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    function_(context_, next_of(ticket), worker);
    // seq_cst with caller_parked_: either the caller sees the count, or this thread sees the caller asleep.
    if (done_.fetch_add(1, std::memory_order_seq_cst) + 1 == tasks_of(ticket) &&
        caller_parked_.load(std::memory_order_seq_cst)) {
      const std::lock_guard lock(mutex_);
      finished_.notify_one();
    }
    ThreadBinding::adjust();
    return true;
  }
  return false;
}

void ThreadPool::park() {
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  wake_.wait(lock, [this] { return stop_.load() || claimable(); });
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::prefetch_while_idle(const std::byte* data, std::size_t bytes) {
  ahead_end_.store(0, std::memory_order_relaxed);
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  ahead_.store(begin, std::memory_order_relaxed);
  ahead_end_.store(begin + bytes, std::memory_order_relaxed);
}

bool ThreadPool::prefetch_some() {
  constexpr std::uintptr_t kChunk = 2048;  // bytes: little enough to notice a new job soon
  if (ahead_.load(std::memory_order_relaxed) >= ahead_end_.load(std::memory_order_relaxed)) return false;
  const std::uintptr_t at = ahead_.fetch_add(kChunk, std::memory_order_relaxed);
  for (std::uintptr_t line = 0; line < kChunk; line += 64) _mm_prefetch(reinterpret_cast<const char*>(at + line), _MM_HINT_T1);
  return true;
}

void ThreadPool::work(std::uint32_t worker) {
  const FloatState state;
  std::uint32_t idle = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (claim_and_run(worker)) {
      idle = 0;
    } else if (prefetch_some()) {
      idle = 0;
    } else if (++idle <= spins_) {
      _mm_pause();
    } else {
      park();
      idle = 0;
    }
  }
}

void ThreadPool::run_erased(std::uint32_t tasks, Function function, const void* context) {
  TROUPE_CHECK(tasks <= kMaxTasks, "too many tasks in one job");
  const FloatState state;
  if (tasks <= 1 || workers_.empty()) {
    const std::lock_guard turn(turn_);
    for (std::uint32_t task = 0; task < tasks; ++task) function(context, task, 0);
    return;
  }
  const std::lock_guard turn(turn_);
  function_ = function;
  context_ = context;
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t epoch = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(make_ticket(epoch & 0xffffffff, tasks), std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  while (claim_and_run(0)) {
  }
  for (std::uint32_t spin = 0; spin < spins_; ++spin) {
    if (done_.load(std::memory_order_acquire) == tasks) return;
    _mm_pause();
  }
  if (done_.load(std::memory_order_acquire) == tasks) return;
  std::unique_lock lock(mutex_);
  caller_parked_.store(true, std::memory_order_seq_cst);
  finished_.wait(lock, [&] { return done_.load(std::memory_order_seq_cst) == tasks; });
  caller_parked_.store(false, std::memory_order_relaxed);
}

}  // namespace troupe::backend::cpu
