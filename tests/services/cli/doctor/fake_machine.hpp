#pragma once
// A machine that is whatever a test says; as made it is a good one.
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include "services/cli/doctor/finding.hpp"
#include "services/cli/doctor/machine.hpp"
#include "services/cli/doctor/subject.hpp"

namespace troupe::cli::doctor {

class FakeMachine : public Machine {
 public:
  static constexpr std::uint64_t kMiB = 1ULL << 20, kGiB = 1ULL << 30;

  std::map<std::string, std::string> texts{
      {"/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n"},
      {"/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma f16c avx512f\n"},
      {"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
      {"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"}};
  std::vector<backend::Isa> isas{backend::Isa::scalar, backend::Isa::avx2, backend::Isa::avx512};
  Cores core{8, std::nullopt};
  MemoryRoom room{16 * kGiB, 12 * kGiB};
  DescriptorLimits limits{65536, 65536};
  ClockSample clock{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}, std::chrono::milliseconds(20),
                    std::chrono::milliseconds(20), std::chrono::nanoseconds(25), true};
  std::map<std::uint16_t, Errc> taken;  ///< ports that cannot be listened on
  std::set<std::uint16_t> troupes;      ///< ports where a process of ours answers
  Expected<Duration> redis = Duration(std::chrono::microseconds(80));
  Expected<void> memfd;
  Expected<void> write;
  DiskRoom disk_room{100 * kGiB, 0};
  std::uint64_t bytes = 98'362'432;
  std::string hash = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
  Expected<ModelFacts> facts = ModelFacts{100 * kMiB, kMiB, 4096};
  mutable directory::RedisOptions pinged;

  std::string program_version() const override { return "9.8.7"; }
  std::optional<std::string> text(const std::string& path) const override {
    const auto at = texts.find(path);
    return at == texts.end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<backend::Isa> instruction_sets() const override { return isas; }
  Cores cores() const override { return core; }
  MemoryRoom memory() const override { return room; }
  DescriptorLimits descriptors() const override { return limits; }
  ClockSample clocks() const override { return clock; }
  Expected<void> listen(const std::string&, std::uint16_t port) const override {
    const auto at = taken.find(port);
    if (at == taken.end()) return {};
    return fail(at->second, "said so");
  }
  bool troupe_answers(const std::string&, std::uint16_t port) const override {
    return troupes.contains(port);
  }
  Expected<Duration> ping_redis(const directory::RedisOptions& options) const override {
    pinged = options;
    return redis;
  }
  Expected<void> shared_memory() const override { return memfd; }
  Expected<void> writable(const std::filesystem::path&) const override { return write; }
  Expected<DiskRoom> disk(const std::filesystem::path&) const override { return disk_room; }
  Expected<std::uint64_t> file_bytes(const std::filesystem::path&) const override { return bytes; }
  Expected<std::string> sha256(const std::filesystem::path&) const override { return hash; }
  Expected<ModelFacts> model(const std::filesystem::path&, backend::DType) const override { return facts; }
};

/// The processes of these words, as the command line gives them.
[[nodiscard]] inline Subjects subjects_of(Arguments arguments,
                                          std::vector<std::pair<std::string, std::string>> environment = {}) {
  std::ostringstream out;
  Io io{out, out, 0, std::move(environment)};
  auto subjects = read_subjects(std::move(arguments), io);
  if (!subjects) throw std::runtime_error(to_string(subjects.error()));
  return std::move(*subjects);
}

/// "warning: what it is | what to do" of each.
[[nodiscard]] inline std::string spelled(const Findings& findings) {
  std::string out;
  for (const Finding& each : findings)
    out += std::string(name(each.level)) + ": " + each.what +
           (each.advice.empty() ? "" : " | " + each.advice) + "\n";
  return out;
}

}  // namespace troupe::cli::doctor
