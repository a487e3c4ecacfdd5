#include "common/metrics/process.hpp"

#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace troupe::metrics {
namespace {

const Declaration kResident{"troupe_process_resident_bytes", "Resident memory.", Kind::gauge};
const Declaration kDescriptors{"troupe_process_open_descriptors", "Open file descriptors.",
                               Kind::gauge};
const Declaration kThreads{"troupe_process_threads", "Threads.", Kind::gauge};
const Declaration kCpu{"troupe_process_cpu_seconds_total", "User and system time.", Kind::counter};
const Declaration kStart{"troupe_process_start_time_seconds", "Start time since the epoch.", Kind::gauge};

/// A number of /proc/self/status; memory lines are in kB.
double status_number(std::string_view key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr);
  return 0;
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    ++count;
  return count > 0 ? count - 1 : 0;  // one of them was the folder being read
}

double cpu_seconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

void add_process_metrics(Registry& registry) {
  registry.gauge(kStart).set(
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  registry.before_collect([resident = registry.gauge(kResident), descriptors = registry.gauge(kDescriptors),
                           threads = registry.gauge(kThreads), cpu = registry.counter(kCpu)] {
    resident.set(status_number("VmRSS:") * 1024);
    threads.set(status_number("Threads:"));
    descriptors.set(open_descriptors());
    cpu.add(cpu_seconds() - cpu.value());
  });
}

}  // namespace troupe::metrics
