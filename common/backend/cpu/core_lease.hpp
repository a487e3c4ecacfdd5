#pragma once
// Which CPUs a pool may have for itself. Troupe's processes of one user on one host share a folder with a lock file per CPU;
// a lease is that many locks, so two workers never compute on the same CPU, and the kernel gives back what a killed process
// held. Locks are advice among Troupe's own: they keep nobody else away.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/backend/cpu/cpu_affinity.hpp"

namespace troupe::backend::cpu {

enum class LeaseOutcome : std::uint8_t {
  none,            ///< not asked for, or the folder cannot be used
  leased,          ///< as many CPUs as wanted, nobody else's
  oversubscribed,  ///< fewer are free
};

/// Holds its CPUs until destroyed. Forked children keep them too, until they end or exec.
class CoreLease {
 public:
  CoreLease() = default;
  CoreLease(CoreLease&& other) noexcept;
  CoreLease& operator=(CoreLease&& other) noexcept;
  ~CoreLease();

  [[nodiscard]] LeaseOutcome outcome() const { return outcome_; }
  [[nodiscard]] std::span<const std::uint32_t> cpus() const { return cpus_; }  ///< empty unless leased

 private:
  friend CoreLease lease_cores(std::uint32_t, std::span<const CpuPlace>, const std::string&);
  void release();

  LeaseOutcome outcome_ = LeaseOutcome::none;
  std::vector<std::uint32_t> cpus_;
  std::vector<int> descriptors_;
};

/// `wanted` of `free`, or nothing: one thread of each core before siblings, cores with no thread outside `free` before others,
/// and among equals the node that has most free cores first. `all` says which CPUs are siblings.
[[nodiscard]] std::vector<std::uint32_t> choose_cpus(std::uint32_t wanted, std::span<const CpuPlace> all,
                                                     std::span<const CpuPlace> free);

/// $XDG_RUNTIME_DIR, otherwise /run/user/<uid> where it exists, otherwise /tmp; in it one folder per user. Empty in a container's
/// process namespace without XDG_RUNTIME_DIR: neighbours in other containers would not be seen.
[[nodiscard]] std::string lease_folder();

/// Leases `wanted` of `cpus`, all or none. Pools of one process compete like processes do. Never waits long: a folder that
/// stays busy for a tenth of a second, is another user's, is open to others or cannot be written gives LeaseOutcome::none.
/// Threads: any. Cost: one open and one lock per CPU of `cpus`.
[[nodiscard]] CoreLease lease_cores(std::uint32_t wanted, std::span<const CpuPlace> cpus, const std::string& folder);
/// The lease a pool of `threads` should have: of usable_places() in lease_folder(); none when threads are not to be pinned or
/// are more than usable_cpus().
[[nodiscard]] CoreLease lease_for(const CpuOptions& options, std::uint32_t threads);

}  // namespace troupe::backend::cpu
