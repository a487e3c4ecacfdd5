#include "common/backend/cpu/core_lease.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include "common/backend/cpu/cpu_info.hpp"

namespace troupe::backend::cpu {
namespace {

constexpr int kGateTries = 100;
constexpr std::chrono::milliseconds kGatePause{1};
// The inode of the host's own process namespace, fixed in the kernel (proc_ns.h).
constexpr std::string_view kHostProcesses = "pid:[4026531836]";

/// A file descriptor that closes itself, and with it its lock.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  [[nodiscard]] int take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool is_folder(const char* path) {
  struct stat info{};
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/// Only a folder that is ours and closed to others counts: in /tmp anybody may have made it.
Descriptor open_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return Descriptor(-1);
  Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!opened.open() || fstat(opened.get(), &info) != 0) return Descriptor(-1);
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0) return Descriptor(-1);
  return opened;
}

Descriptor open_lock(const Descriptor& folder, const std::string& name) {
  return Descriptor(openat(folder.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
}

/// One process chooses at a time; otherwise two that want three of four CPUs could take two each and both give up.
bool pass_gate(const Descriptor& gate) {
  for (int i = 0; i < kGateTries; ++i) {
    if (flock(gate.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    std::this_thread::sleep_for(kGatePause);
  }
  return false;
}

}  // namespace

CoreLease::CoreLease(CoreLease&& other) noexcept
    : outcome_(std::exchange(other.outcome_, LeaseOutcome::none)),
      cpus_(std::exchange(other.cpus_, {})),
      descriptors_(std::exchange(other.descriptors_, {})) {}

CoreLease& CoreLease::operator=(CoreLease&& other) noexcept {
  if (this == &other) return *this;
  release();
  outcome_ = std::exchange(other.outcome_, LeaseOutcome::none);
  cpus_ = std::exchange(other.cpus_, {});
  descriptors_ = std::exchange(other.descriptors_, {});
  return *this;
}

CoreLease::~CoreLease() { release(); }

void CoreLease::release() {
  for (const int descriptor : descriptors_) close(descriptor);
  descriptors_.clear();
}

std::vector<std::uint32_t> choose_cpus(std::uint32_t wanted, std::span<const CpuPlace> all,
                                       std::span<const CpuPlace> free) {
  if (wanted > free.size()) return {};
  std::map<std::uint32_t, std::uint32_t> taken;  // per core, threads that are not free
  for (const CpuPlace& place : all) ++taken[place.core];
  for (const CpuPlace& place : free) --taken[place.core];
  // 2 * (free threads of the core before this one) + (a neighbour computes on the core)
  std::map<std::uint32_t, std::uint32_t> seen, whole_cores;
  std::vector<std::pair<std::uint32_t, CpuPlace>> ranked;
  for (const CpuPlace& place : free) {
    const std::uint32_t rank = 2 * seen[place.core]++ + (taken[place.core] > 0 ? 1 : 0);
    if (rank == 0) ++whole_cores[place.node];
    ranked.emplace_back(rank, place);
  }
  std::ranges::sort(ranked, {}, [&](const auto& entry) {
    const auto& [rank, place] = entry;
    return std::tuple(rank, UINT32_MAX - whole_cores[place.node], place.node, place.cpu);
  });
  std::vector<std::uint32_t> chosen;
  for (std::uint32_t i = 0; i < wanted; ++i) chosen.push_back(ranked[i].second.cpu);
  return chosen;
}

std::string lease_folder() {
  const std::string name = "/troupe-cpus-" + std::to_string(geteuid());
  if (const char* set = std::getenv("XDG_RUNTIME_DIR"); set != nullptr && *set == '/' && is_folder(set)) return set + name;
  char processes[64] = {};
  const ssize_t length = readlink("/proc/self/ns/pid", processes, sizeof processes);
  if (length < 0 || std::string_view(processes, static_cast<std::size_t>(length)) != kHostProcesses) return {};
  const std::string session = "/run/user/" + std::to_string(geteuid());
  return (is_folder(session.c_str()) ? session : "/tmp") + name;
}

CoreLease lease_cores(std::uint32_t wanted, std::span<const CpuPlace> cpus, const std::string& folder) {
  CoreLease lease;
  if (wanted == 0 || folder.empty()) return lease;
  Descriptor opened = open_folder(folder);
  if (!opened.open()) return lease;
  const Descriptor gate = open_lock(opened, "gate");
  if (!gate.open() || !pass_gate(gate)) return lease;
  std::vector<CpuPlace> free;
  std::map<std::uint32_t, Descriptor> locks;
  for (const CpuPlace& place : cpus) {
    Descriptor lock = open_lock(opened, "cpu" + std::to_string(place.cpu));
    if (!lock.open()) return lease;
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return lease;  // locks do not work here
      continue;
    }
    free.push_back(place);
    locks.emplace(place.cpu, std::move(lock));
  }
  lease.cpus_ = choose_cpus(wanted, cpus, free);
  lease.outcome_ = lease.cpus_.empty() ? LeaseOutcome::oversubscribed : LeaseOutcome::leased;
  if (lease.cpus_.empty()) return lease;
  for (const std::uint32_t cpu : lease.cpus_) lease.descriptors_.push_back(locks.at(cpu).take());
  // Cleaners of /tmp leave a locked folder alone; without its files a lease would be invisible.
  if (flock(opened.get(), LOCK_SH | LOCK_NB) == 0) lease.descriptors_.push_back(opened.take());
  return lease;
}

CoreLease lease_for(const CpuOptions& options, std::uint32_t threads) {
  if (!options.pin_threads || threads > usable_cpus()) return {};
  return lease_cores(threads, usable_places(), lease_folder());
}

}  // namespace troupe::backend::cpu
