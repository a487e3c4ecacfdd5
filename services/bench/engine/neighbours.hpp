#pragma once
// Whether others used the machine while something was measured. A figure taken beside a busy neighbour means nothing, so a
// repeat counts only when what others took is under a bar.
// Linux.
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::bench {

/// Share of the machine's CPU time above which a repeat does not count.
inline constexpr double kNeighbourBar = 0.02;

/// All in seconds of CPU time.
struct CpuUsage {
  double total = 0;   ///< of all CPUs, idle included
  double busy = 0;    ///< spent in any program
  double stolen = 0;  ///< by the hypervisor, for other machines
  double own = 0;     ///< of this process
};

/// The first line of /proc/stat, `hertz` ticks a second; nullopt when it is none. `own` stays 0.
[[nodiscard]] std::optional<CpuUsage> parse_proc_stat(std::string_view line, double hertz);
/// Share of `end - begin` that the hypervisor and other programs took; never below 0.
[[nodiscard]] double neighbour_share(const CpuUsage& begin, const CpuUsage& end);

/// Watches from its construction on.
class NeighbourWatch {
 public:
  NeighbourWatch();
  /// 1 where the system does not tell.
  [[nodiscard]] double share() const;

 private:
  std::optional<CpuUsage> begin_;
};

}  // namespace troupe::bench
