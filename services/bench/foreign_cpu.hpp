#pragma once
// Whether a stretch of the run had the machine to itself: what the hypervisor stole and what processes took
// that are neither ours nor the driven servers'. Linux, best effort: a process that ended in between counts
// as foreign.
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace troupe::load {

/// In clock ticks since the machine's start.
struct MachineTicks {
  std::uint64_t total = 0, busy = 0, stolen = 0;
};
/// The first line of /proc/stat. nullopt when it is none.
[[nodiscard]] std::optional<MachineTicks> parse_machine_ticks(std::string_view stat);

struct ProcessStat {
  int pid = 0, parent = 0;
  std::string_view name;    ///< into the text
  std::uint64_t ticks = 0;  ///< its own, and of children it waited for
};
/// /proc/PID/stat; a name may hold spaces and brackets. nullopt when it is none.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view stat);

/// The inode of the socket that listens on `port` in the text of /proc/net/tcp or tcp6.
[[nodiscard]] std::optional<std::uint64_t> listening_inode(std::string_view table, std::uint16_t port);
/// The process on this machine that listens on `port`; 0 when it is not ours to see.
[[nodiscard]] int listening_process(std::uint16_t port);

/// Ticks of the machine, and of the driven: this process and `servers`, each with the processes of the same
/// name above it and all below those (a supervisor and its roles).
struct CpuReading {
  MachineTicks machine;
  std::uint64_t driven = 0;
};
[[nodiscard]] std::optional<CpuReading> read_cpu(const std::vector<int>& servers);
/// Share of the machine's time between two readings that was stolen or foreign, 0..1.
[[nodiscard]] double foreign_share(const CpuReading& begin, const CpuReading& end);

}  // namespace troupe::load
