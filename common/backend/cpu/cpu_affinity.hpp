#pragma once
// Which CPUs a thread may run on, where they are in the machine, and keeping a thread on one of them.
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"

namespace troupe::backend::cpu {

/// A hardware thread. `core` is the lowest CPU of its physical core: siblings share it.
struct CpuPlace {
  std::uint32_t cpu = 0;
  std::uint32_t core = 0;
  std::uint32_t node = 0;
};

/// CPUs of the calling thread's affinity mask, from before its ThreadBinding if it has one. Empty when the kernel does not say.
[[nodiscard]] std::vector<std::uint32_t> affinity_cpus();
/// Lets the calling thread run on these CPUs alone. False when the kernel refuses: it stays where it was.
bool set_affinity(std::span<const std::uint32_t> cpus);

/// affinity_cpus() with what /sys says of them; a CPU that it does not describe is a core of node 0 by itself.
[[nodiscard]] std::vector<CpuPlace> usable_places();

/// Says when a thread should not stay on its CPU: it waited there for more than a twentieth of a tenth of a second, because
/// somebody else computes on it. Holds for two seconds, then the CPU gets another chance.
class CrowdWatch {
 public:
  /// `waited`: all the time so far that the thread could have run and another did. Returns whether the CPU is crowded.
  bool update(std::chrono::nanoseconds now, std::chrono::nanoseconds waited);

 private:
  std::chrono::nanoseconds since_{-1}, waited_{0}, until_{0};
};

/// Keeps the calling thread on `cpu` until destroyed (by the same thread), but for times when it is crowded; a thread bound
/// already stays where it is. Pools that a bound thread makes, and usable_cpus(), still see the CPUs it had before.
class ThreadBinding final : public ThreadHold {
 public:
  explicit ThreadBinding(std::uint32_t cpu);
  ~ThreadBinding() override;
  ThreadBinding(const ThreadBinding&) = delete;
  ThreadBinding& operator=(const ThreadBinding&) = delete;

  /// To be called after each piece of work: lets the calling thread go from a crowded CPU, or brings it back. Cost: a counter;
  /// ten times a second a read of /proc.
  static void adjust();
  [[nodiscard]] const std::vector<std::uint32_t>& before() const { return before_; }

 private:
  void look();

  std::uint32_t cpu_;
  std::vector<std::uint32_t> before_;
  int schedule_ = -1;                  ///< /proc/thread-self/schedstat; without it a CPU is never crowded
  std::uint32_t pieces_ = 0;
  std::chrono::nanoseconds next_look_{0};
  CrowdWatch watch_;
  bool away_ = false;
};

}  // namespace troupe::backend::cpu
