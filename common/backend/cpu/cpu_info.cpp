#include "common/backend/cpu/cpu_info.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string>
#include <utility>

#include "common/backend/cpu/cpu_affinity.hpp"

namespace troupe::backend {

namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 6> kNames{{{Isa::automatic, "auto"},
                                                                 {Isa::scalar, "scalar"},
                                                                 {Isa::avx2, "avx2"},
                                                                 {Isa::avx_vnni, "avx-vnni"},
                                                                 {Isa::avx512, "avx512"},
                                                                 {Isa::amx, "amx"}}};

}  // namespace

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (const auto& [isa, name] : kNames)
    if (isa != Isa::automatic && cpu::supports(isa)) isas.push_back(isa);
  return isas;
}

std::string_view isa_name(Isa isa) { return kNames[static_cast<std::size_t>(isa)].second; }

std::optional<Isa> isa_named(std::string_view name) {
  for (const auto& [isa, known] : kNames)
    if (known == name) return isa;
  return std::nullopt;
}

namespace cpu {
namespace {

struct Cpuid {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
};

/// Structured extended features, which the compiler's own query does not know all of.
Cpuid cpuid_7(unsigned leaf) {
  Cpuid found;
  Cpuid most;
  if (__get_cpuid_count(7, 0, &most.eax, &most.ebx, &most.ecx, &most.edx) == 0 || leaf > most.eax) return found;
  __get_cpuid_count(7, leaf, &found.eax, &found.ebx, &found.ecx, &found.edx);
  return found;
}

/// Tiles are 8 KiB of state a thread, which the kernel keeps only for processes that ask.
bool tiles_granted() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

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
    case Isa::avx_vnni:
      return supports(Isa::avx2) && (cpuid_7(1).eax >> 4 & 1U) != 0;
    case Isa::amx: {
      const Cpuid flags = cpuid_7(0);
      static const bool granted = supports(Isa::avx512) && (flags.edx >> 24 & 1U) != 0 && (flags.edx >> 25 & 1U) != 0 && tiles_granted();
      return granted;
    }
  }
  return false;
}

Isa best_isa() { return supported_isas().back(); }

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
