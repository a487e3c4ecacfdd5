// Processor, cores, pages, descriptors, clocks.
#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <span>
#include <sstream>

#include "common/backend/cpu/cpu_info.hpp"
#include "services/cli/doctor/checks.hpp"
#include "services/cli/doctor/words.hpp"

namespace troupe::cli::doctor {
namespace {

using backend::Isa;
using namespace std::chrono_literals;

constexpr std::array<std::string_view, 3> kAvx2Flags{"avx2", "fma", "f16c"};
constexpr std::array<std::string_view, 4> kAvxVnniFlags{"avx2", "fma", "f16c", "avx_vnni"};
constexpr std::array<std::string_view, 5> kAvx512Flags{"avx512f", "avx512bw", "avx512vl", "avx512dq",
                                                       "avx512_vnni"};
constexpr std::array<std::string_view, 7> kAmxFlags{"avx512f",     "avx512bw", "avx512vl", "avx512dq",
                                                    "avx512_vnni", "amx_tile", "amx_int8"};

/// What /proc/cpuinfo must list for these kernels.
std::span<const std::string_view> flags_of(Isa isa) {
  switch (isa) {
    case Isa::avx2: return kAvx2Flags;
    case Isa::avx_vnni: return kAvxVnniFlags;
    case Isa::avx512: return kAvx512Flags;
    case Isa::amx: return kAmxFlags;
    default: return {};
  }
}

std::string_view trimmed(std::string_view text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  return end == std::string_view::npos ? std::string_view{} : text.substr(0, end + 1);
}

/// Of `wanted`, what /proc/cpuinfo does not list; "" also when it cannot be read.
std::string missing_flags(const Machine& machine, std::span<const std::string_view> wanted) {
  const auto text = machine.text("/proc/cpuinfo");
  if (!text) return {};
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    std::set<std::string, std::less<>> have;
    for (std::string word; words >> word;) have.insert(word);
    std::string missing;
    for (const std::string_view flag : wanted)
      if (!have.contains(flag)) append_item(missing, flag);
    return missing;
  }
  return {};
}

std::string lacks(const Machine& machine, std::span<const std::string_view> wanted) {
  const std::string missing = missing_flags(machine, wanted);
  return missing.empty() ? std::string() : " (the processor lacks " + missing + ")";
}

Finding dispatched(Isa best, const Machine& machine) {
  const std::string what = "kernels " + std::string(backend::isa_name(best));
  if (best >= Isa::avx512) return {Level::ok, "cpu", what, {}};
  if (best >= Isa::avx2)
    return {Level::ok, "cpu", what + "; wider ones need AVX-512 VNNI" + lacks(machine, flags_of(Isa::avx512)), {}};
  return {Level::warning, "cpu",
          what + " only: every product is computed one number at a time" + lacks(machine, flags_of(Isa::avx2)),
          "use a processor with AVX2, FMA and F16C; a virtual machine must pass its host's on"};
}

Finding forced(const std::string& option, const std::vector<Isa>& there, const Machine& machine) {
  const Isa wanted = backend::isa_named(option).value_or(Isa::scalar);
  if (std::ranges::find(there, wanted) == there.end()) {
    return {Level::problem, "cpu",
            "engine.isa is " + option + ", which this machine has not" + lacks(machine, flags_of(wanted)),
            "set engine.isa to auto"};
  }
  if (wanted == there.back())
    return {Level::ok,
            "cpu",
            "kernels " + std::string(backend::isa_name(wanted)) + ", as engine.isa says",
            {}};
  return {Level::warning, "cpu",
          "kernels " + std::string(backend::isa_name(wanted)) +
              ", as engine.isa says; the machine has " + std::string(backend::isa_name(there.back())),
          "set engine.isa to auto: the bits are the same"};
}

}  // namespace

Findings check_version(const Subjects&, const Machine& machine) {
  const std::string program = "troupe " + machine.program_version();
  const auto release = machine.text("/proc/sys/kernel/osrelease");
  if (!release)
    return {{Level::warning, "version", program + "; the kernel does not say which it is",
             "mount /proc, without which limits of this process cannot be read"}};
  const std::string what = program + " on Linux " + std::string(trimmed(*release));
  unsigned major = 0, minor = 0;
  const char* end = release->data() + release->size();
  const auto first = std::from_chars(release->data(), end, major);
  if (first.ec == std::errc{} && first.ptr != end) std::from_chars(first.ptr + 1, end, minor);
  if (major < 5 || (major == 5 && minor < 3))
    return {{Level::warning, "version", what + ": before 5.3 workers of one host do not share memory",
             "nothing must be done: KV pages go through sockets; a newer kernel is faster"}};
  return {{Level::ok, "version", what, {}}};
}

Findings check_cpu(const Subjects& subjects, const Machine& machine) {
  std::set<std::string> options;
  for (const Subject& subject : subjects)
    if (subject.computes()) options.insert(subject.config.text("engine.isa"));
  const std::vector<Isa> there = machine.instruction_sets();
  Findings findings;
  for (const std::string& option : options)
    findings.push_back(option == "auto" ? dispatched(there.back(), machine) : forced(option, there, machine));
  return findings;
}

Findings check_cores(const Subjects& subjects, const Machine& machine) {
  const Cores cores = machine.cores();
  const unsigned usable = std::max(1u, std::min(cores.allowed, cores.quota.value_or(cores.allowed)));
  std::uint64_t threads = 0, engines = 0;
  for (const Subject& subject : subjects) {
    if (!subject.computes()) continue;
    const std::uint64_t models = subject.config.list("model").size();
    const auto wanted = static_cast<std::uint64_t>(subject.config.integer("engine.threads"));
    engines += models;
    threads += models * (wanted == 0 ? usable : wanted);
  }
  if (engines == 0) return {};
  std::string what = counted(threads, "compute thread") + " of " + counted(engines, "engine") + ", " +
                     counted(usable, "core") + " may be used";
  if (usable < cores.allowed)
    what += " (the cgroup's quota; affinity allows " + std::to_string(cores.allowed) + ")";
  if (threads <= usable) return {{Level::ok, "cores", what, {}}};
  return {
      {Level::warning, "cores", what + ": steps will wait for each other",
       "give engine.threads so that all engines of this machine together have " + std::to_string(usable)}};
}

Findings check_huge_pages(const Subjects& subjects, const Machine& machine) {
  if (std::ranges::none_of(subjects, &Subject::computes)) return {};
  constexpr const char* kFile = "/sys/kernel/mm/transparent_hugepage/enabled";
  const auto text = machine.text(kFile);
  if (text && (text->find("[madvise]") != std::string::npos || text->find("[always]") != std::string::npos))
    return {{Level::ok, "huge pages", "weights and KV pages get them", {}}};
  const std::string advice = std::string("echo madvise > ") + kFile + ", as root of the host";
  if (text)
    return {{Level::warning, "huge pages",
             "switched off: reading weights, which is what decoding does, is slower", advice}};
  return {{Level::warning, "huge pages", "the kernel does not say whether there are any", advice}};
}

Findings check_shared_memory(const Subjects& subjects, const Machine& machine) {
  std::uint64_t most = 0;
  for (const Subject& subject : subjects)
    if (subject.computes() && subject.clustered())
      most = std::max(most, subject.config.bytes("kv.transfer_shared_bytes"));
  if (most == 0) return {};
  const auto able = machine.shared_memory();
  if (able)
    return {
        {Level::ok, "shared memory", "up to " + size_text(most) + " of frames for workers of this host", {}}};
  return {{Level::warning, "shared memory", "there is none: " + able.error().detail,
           "allow memfd_create, or set kv.transfer_shared_bytes to 0: frames then go through sockets"}};
}

Findings check_descriptors(const Subjects& subjects, const Machine& machine) {
  constexpr std::uint64_t kOwn = 128;  // of a process: files, the control and the data plane, metrics
  std::uint64_t needed = kOwn;
  for (const Subject& subject : subjects)
    if (subject.serves_http())
      needed =
          std::max(needed, kOwn + static_cast<std::uint64_t>(subject.config.integer("http.max_connections")));
  const DescriptorLimits limits = machine.descriptors();
  const std::string what =
      std::to_string(limits.soft) + " may be open, " + std::to_string(needed) + " are needed";
  if (limits.soft >= needed) return {{Level::ok, "descriptors", what, {}}};
  const std::string raise =
      "ulimit -n " + std::to_string(needed) + ", LimitNOFILE= of a systemd unit, or --ulimit of a container";
  if (limits.soft < kOwn) return {{Level::problem, "descriptors", what, raise}};
  return {
      {Level::warning, "descriptors", what + " with http.max_connections open",
       limits.hard >= needed ? raise : raise + " (the hard limit is " + std::to_string(limits.hard) + ")"}};
}

Findings check_clock(const Subjects&, const Machine& machine) {
  constexpr auto kMostDrift = 5ms;  // over a wait of a few dozen
  constexpr auto kDearRead = 500ns;
  constexpr auto kBuilt = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
  const ClockSample sample = machine.clocks();
  Findings findings;
  if (sample.wall < kBuilt)
    findings.push_back({Level::problem, "clock", "the wall clock is in the past",
                        "set the time: records and traces carry it"});
  const Duration apart = sample.wall_passed - sample.steady_passed;
  if (sample.steady_passed <= Duration::zero())
    findings.push_back({Level::problem, "clock", "the monotonic clock stands still",
                        "no deadline would ever pass; look at the virtual machine's clock source"});
  else if (apart > kMostDrift || apart < -kMostDrift)
    findings.push_back({Level::warning, "clock", "the wall clock was set while it was looked at",
                        "let a time service slew it (chrony, or systemd-timesyncd)"});
  if (sample.read_cost > kDearRead)
    findings.push_back({Level::warning, "clock",
                        "reading the time takes " + std::to_string(sample.read_cost.count()) +
                            " ns (source " +
                            std::string(trimmed(machine
                                                    .text("/sys/devices/system/clocksource/clocksource0/"
                                                          "current_clocksource")
                                                    .value_or("unknown"))) +
                            ")",
                        "use tsc, or the hypervisor's own clock source"});
  if (sample.synchronised == false)
    findings.push_back({Level::warning, "clock", "the kernel says that no time service keeps it",
                        "run one where traces or logs of several machines are compared"});
  if (findings.empty()) findings.push_back({Level::ok, "clock", "monotonic and wall clock agree", {}});
  return findings;
}

Findings examine(const Subjects& subjects, const Machine& machine) {
  Findings all;
  for (const auto check :
       {check_version, check_cpu, check_cores, check_memory, check_huge_pages, check_shared_memory,
        check_descriptors, check_ports, check_clock, check_directory, check_models, check_disk_tier})
    for (Finding& each : check(subjects, machine)) all.push_back(std::move(each));
  return all;
}

}  // namespace troupe::cli::doctor
