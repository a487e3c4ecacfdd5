#include "common/config/host.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// A line of /proc/meminfo in bytes; 0 when it is absent.
std::uint64_t meminfo(const fs::path& root, std::string_view key) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    if (digit != std::string::npos) return number(std::string_view(line).substr(digit)).value_or(0) * 1024;
  }
  return 0;
}

/// Whether "cpu,cpuacct" holds "cpu"; version 2 is the empty list.
bool names_controller(std::string_view list, std::string_view wanted) {
  if (wanted.empty()) return list.empty();
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == wanted) return true;
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return false;
}

/// The folders of this process's cgroup and its parents, for one controller ("" is version 2).
std::vector<fs::path> cgroup_folders(const fs::path& root, std::string_view controller) {
  std::ifstream file(root / "proc/self/cgroup");
  std::vector<fs::path> folders;
  const fs::path mount = root / "sys/fs/cgroup" / controller;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    if (!names_controller(std::string_view(line).substr(first + 1, second - first - 1), controller)) continue;
    for (fs::path below = fs::path(line.substr(second + 1)).relative_path(); !below.empty();
         below = below.parent_path())
      folders.push_back(mount / below);
  }
  folders.push_back(
      mount);  // inside a container the path above may not exist and the mount itself is our group
  return folders;
}

void lower(std::optional<std::uint64_t>& to, std::uint64_t value) {
  to = std::min(to.value_or(kUnlimited), value);
}

void read_cpu(const fs::path& root, detail::HostLimits& limits) {
  const auto apply = [&](std::optional<std::uint64_t> quota, std::optional<std::uint64_t> period) {
    if (quota && period && *quota > 0 && *period > 0)
      lower(limits.cpu_cores, (*quota + *period - 1) / *period);
  };
  for (const fs::path& folder : cgroup_folders(root, "")) {
    std::istringstream line(first_line(folder / "cpu.max"));  // "200000 100000" or "max 100000"
    std::string quota;
    std::string period;
    line >> quota >> period;
    apply(number(quota), number(period));
  }
  for (const fs::path& folder : cgroup_folders(root, "cpu"))
    apply(number(first_line(folder / "cpu.cfs_quota_us")), number(first_line(folder / "cpu.cfs_period_us")));
}

void apply_memory(detail::HostLimits& limits, std::optional<std::uint64_t> limit,
                  std::optional<std::uint64_t> used) {
  if (!limit || *limit >= limits.memory_bytes) return;
  limits.memory_bytes = *limit;
  limits.memory_free = std::min(limits.memory_free, *limit - std::min(*limit, used.value_or(0)));
}

}  // namespace

namespace detail {
HostLimits read_limits(const fs::path& root) {
  HostLimits limits;
  limits.memory_bytes = meminfo(root, "MemTotal:");
  limits.memory_free = meminfo(root, "MemAvailable:");
  read_cpu(root, limits);
  for (const fs::path& folder : cgroup_folders(root, ""))
    apply_memory(limits, number(first_line(folder / "memory.max")),
                 number(first_line(folder / "memory.current")));
  for (const fs::path& folder : cgroup_folders(root, "memory"))
    apply_memory(limits, number(first_line(folder / "memory.limit_in_bytes")),
                 number(first_line(folder / "memory.usage_in_bytes")));
  return limits;
}
}  // namespace detail

unsigned usable_cores() {
  std::uint64_t cores = 1;
  // The mask may be wider than cpu_set_t on large machines; then ask for the online count.
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0)
    cores = static_cast<std::uint64_t>(CPU_COUNT(&mask));
  else
    cores = static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  cores = std::min(cores, detail::read_limits("/").cpu_cores.value_or(kUnlimited));
  return static_cast<unsigned>(std::max<std::uint64_t>(cores, 1));
}

std::uint64_t usable_memory_bytes() {
  return detail::read_limits("/").memory_bytes;
}
std::uint64_t free_memory_bytes() {
  return detail::read_limits("/").memory_free;
}

}  // namespace troupe
