#pragma once
// What this process may use of the machine: cores by affinity and cgroup quota, memory by cgroup limit.
// Linux.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// Cores this process may run on: the smaller of its affinity mask and its cgroup's CPU quota (rounded up);
/// at least 1.
[[nodiscard]] unsigned usable_cores();

/// The memory this process may use: the smallest of the machine's memory and every cgroup limit above it.
[[nodiscard]] std::uint64_t usable_memory_bytes();

/// usable_memory_bytes less what is used now: the smaller of the cgroup's headroom and the machine's
/// MemAvailable.
[[nodiscard]] std::uint64_t free_memory_bytes();

namespace detail {
/// The same over a copy of `/` (tests): reads proc/self/cgroup, proc/meminfo and sys/fs/cgroup below `root`.
struct HostLimits {
  std::optional<std::uint64_t> cpu_cores;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_free = 0;
};
[[nodiscard]] HostLimits read_limits(const std::filesystem::path& root);
}  // namespace detail

}  // namespace troupe
