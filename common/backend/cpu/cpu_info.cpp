#include "common/backend/cpu/cpu_info.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

#include "common/backend/cpu/cpu_affinity.hpp"

namespace troupe::backend {

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512})
    if (cpu::supports(isa)) isas.push_back(isa);
  return isas;
}

namespace cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The quota of the process's own group (version 2), then of the mount's root, then version 1.
std::uint32_t quota_cpus() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    if (auto cpus = cpus_of_quota(first_line("/sys/fs/cgroup" + line.substr(3) + "/cpu.max"))) return cpus;
  }
  if (auto cpus = cpus_of_quota(first_line("/sys/fs/cgroup/cpu.max"))) return cpus;
  return cpus_of_quota(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " +
                       first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

}  // namespace

bool supports(Isa isa) {
  switch (isa) {
    case Isa::automatic:
    case Isa::scalar:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case Isa::avx512:
      return supports(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vnni");
  }
  return false;
}

Isa best_isa() { return supported_isas().back(); }

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::automatic: return "automatic";
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512-vnni";
  }
  return "unknown";
}

std::uint32_t cpus_of_quota(std::string_view cpu_max) {
  const char* end = cpu_max.data() + cpu_max.size();
  std::int64_t quota = 0;
  std::int64_t period = 0;
  const auto q = std::from_chars(cpu_max.data(), end, quota);
  if (q.ec != std::errc{} || q.ptr == end) return 0;
  const auto p = std::from_chars(q.ptr + 1, end, period);
  if (p.ec != std::errc{} || quota <= 0 || period <= 0) return 0;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(quota / period, 1, 4096));
}

std::uint32_t usable_cpus() {
  const auto cpus = static_cast<std::uint32_t>(std::max<std::size_t>(1, affinity_cpus().size()));
  const std::uint32_t quota = quota_cpus();
  return quota == 0 ? cpus : std::min(cpus, quota);
}

}  // namespace cpu
}  // namespace troupe::backend
