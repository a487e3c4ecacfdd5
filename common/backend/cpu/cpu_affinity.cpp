#include "common/backend/cpu/cpu_affinity.hpp"

#include <sched.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace troupe::backend::cpu {
namespace {

constexpr std::uint32_t kMostCpus = 8192;  // what Linux can be built for

struct Mask {
  std::vector<cpu_set_t> words = std::vector<cpu_set_t>(kMostCpus / CPU_SETSIZE);
  [[nodiscard]] std::size_t bytes() const { return words.size() * sizeof(cpu_set_t); }
};

// What this thread could use before it was bound; empty: it is not bound.
thread_local std::vector<std::uint32_t> unbound_cpus;

/// The first number of "0-1,4" or of "12"; `otherwise` when there is none.
std::uint32_t first_number(const std::filesystem::path& path, std::uint32_t otherwise) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::uint32_t value = 0;
  return std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc{} ? value : otherwise;
}

/// /sys/devices/system/cpu/cpuN/nodeM
std::uint32_t node_of(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    std::uint32_t node = 0;
    if (!name.starts_with("node")) continue;
    const auto read = std::from_chars(name.data() + 4, name.data() + name.size(), node);
    if (read.ec == std::errc{} && read.ptr == name.data() + name.size()) return node;
  }
  return 0;
}

}  // namespace

std::vector<std::uint32_t> affinity_cpus() {
  if (!unbound_cpus.empty()) return unbound_cpus;
  Mask mask;
  std::vector<std::uint32_t> cpus;
  if (sched_getaffinity(0, mask.bytes(), mask.words.data()) != 0) return cpus;
  for (std::uint32_t cpu = 0; cpu < kMostCpus; ++cpu)
    if (CPU_ISSET_S(cpu, mask.bytes(), mask.words.data())) cpus.push_back(cpu);
  return cpus;
}

bool set_affinity(std::span<const std::uint32_t> cpus) {
  Mask mask;
  for (const std::uint32_t cpu : cpus)
    if (cpu < kMostCpus) CPU_SET_S(cpu, mask.bytes(), mask.words.data());
  return sched_setaffinity(0, mask.bytes(), mask.words.data()) == 0;
}

std::vector<CpuPlace> usable_places() {
  std::vector<CpuPlace> places;
  for (const std::uint32_t cpu : affinity_cpus()) {
    const std::filesystem::path folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
    places.push_back({cpu, first_number(folder / "topology/thread_siblings_list", cpu), node_of(folder)});
  }
  return places;
}

ThreadBinding::ThreadBinding(std::uint32_t cpu) {
  if (!unbound_cpus.empty()) return;
  std::vector<std::uint32_t> before = affinity_cpus();
  bound_ = !before.empty() && set_affinity({&cpu, 1});
  if (bound_) unbound_cpus = std::move(before);
}

ThreadBinding::~ThreadBinding() {
  if (!bound_) return;
  set_affinity(unbound_cpus);
  unbound_cpus.clear();
}

}  // namespace troupe::backend::cpu
