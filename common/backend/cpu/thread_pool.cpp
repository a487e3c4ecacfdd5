#include "common/backend/cpu/thread_pool.hpp"

#include <immintrin.h>

#include <algorithm>
#include <utility>

#include "common/backend/cpu/cpu_info.hpp"
#include "common/base/error.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kDefaultMxcsr = 0x1f80;  // all exceptions masked, nearest, no flush to zero, denormals are numbers
constexpr std::uint32_t kSpins = 3000;           // about 100 microseconds of pauses: waking a thread takes as long as some jobs

constexpr std::uint64_t kOneTaken = std::uint64_t{1} << 16;  // off the end of a ticket

std::uint64_t make_ticket(std::uint64_t epoch, std::uint64_t next, std::uint64_t end) { return epoch << 32 | end << 16 | next; }
std::uint32_t next_of(std::uint64_t ticket) { return static_cast<std::uint32_t>(ticket & 0xffff); }
std::uint32_t end_of(std::uint64_t ticket) { return static_cast<std::uint32_t>(ticket >> 16 & 0xffff); }

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
    : shares_(threads), lease_(std::move(lease)), spins_(spins_of(threads, lease_.outcome())) {
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
  return std::any_of(shares_.begin(), shares_.end(), [](const Share& share) {
    const std::uint64_t ticket = share.ticket.load(std::memory_order_seq_cst);
    return next_of(ticket) < end_of(ticket);
  });
}

bool ThreadPool::claim_and_run(std::uint32_t worker) {
  std::uint32_t ran = 0;
  for (std::uint32_t i = 0; i < shares_.size(); ++i) {
    Share& share = shares_[(worker + i) % shares_.size()];
    std::uint64_t ticket = share.ticket.load(std::memory_order_acquire);
    while (next_of(ticket) < end_of(ticket)) {
      if (!share.ticket.compare_exchange_weak(ticket, i == 0 ? ticket + 1 : ticket - kOneTaken, std::memory_order_acq_rel)) continue;
      function_(context_, i == 0 ? next_of(ticket) : end_of(ticket) - 1, worker);
      ++ran;
      ticket = share.ticket.load(std::memory_order_acquire);
    }
  }
  if (ran == 0) return false;
  const std::uint32_t tasks = tasks_;  // before the count is told: after it the next job may come
  // seq_cst with caller_parked_: either the caller sees the count, or this thread sees the caller asleep.
  if (done_.fetch_add(ran, std::memory_order_seq_cst) + ran == tasks && caller_parked_.load(std::memory_order_seq_cst)) {
    const std::lock_guard lock(mutex_);
    finished_.notify_one();
  }
  ThreadBinding::adjust();
  return true;
}

void ThreadPool::park() {
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  wake_.wait(lock, [this] { return stop_.load() || claimable(); });
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::prefetch_while_idle(const std::byte* data, std::size_t bytes, std::size_t most) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  for (std::size_t i = 1; i < shares_.size(); ++i) {
    const std::size_t first = bytes * i / shares_.size();
    const std::size_t end = std::min(bytes * (i + 1) / shares_.size(), first + most);
    shares_[i].ahead_end.store(0, std::memory_order_relaxed);
    shares_[i].ahead.store(begin + first, std::memory_order_relaxed);
    shares_[i].ahead_end.store(begin + end, std::memory_order_relaxed);
  }
}

bool ThreadPool::prefetch_some(std::uint32_t worker) {
  constexpr std::uintptr_t kChunk = 2048;  // bytes: little enough to notice a new job soon
  Share& share = shares_[worker];
  const std::uintptr_t at = share.ahead.load(std::memory_order_relaxed);
  if (at >= share.ahead_end.load(std::memory_order_relaxed)) return false;
  share.ahead.store(at + kChunk, std::memory_order_relaxed);
  for (std::uintptr_t line = 0; line < kChunk; line += 64) _mm_prefetch(reinterpret_cast<const char*>(at + line), _MM_HINT_T1);
  return true;
}

void ThreadPool::work(std::uint32_t worker) {
  const FloatState state;
  std::uint32_t idle = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (claim_and_run(worker)) {
      idle = 0;
    } else if (prefetch_some(worker)) {
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
  tasks_ = tasks;
  done_.store(0, std::memory_order_relaxed);
  epoch_ = (epoch_ + 1) & 0xffffffff;
  for (std::uint64_t i = shares_.size(); i-- > 0;)
    shares_[i].ticket.store(make_ticket(epoch_, tasks * i / shares_.size(), tasks * (i + 1) / shares_.size()), std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  claim_and_run(0);
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
