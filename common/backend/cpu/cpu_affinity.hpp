#pragma once
// Which CPUs a thread may run on, where they are in the machine, and keeping a thread on one of them.
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

/// Keeps the calling thread on `cpu` until destroyed (by the same thread); a thread bound already stays where it is.
/// Pools that a bound thread makes, and usable_cpus(), still see the CPUs it had before.
class ThreadBinding final : public ThreadHold {
 public:
  explicit ThreadBinding(std::uint32_t cpu);
  ~ThreadBinding() override;
  ThreadBinding(const ThreadBinding&) = delete;
  ThreadBinding& operator=(const ThreadBinding&) = delete;

 private:
  bool bound_ = false;
};

}  // namespace troupe::backend::cpu
