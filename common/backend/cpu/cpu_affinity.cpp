#include "common/backend/cpu/cpu_affinity.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::backend::cpu {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint32_t kMostCpus = 8192;  // what Linux can be built for

struct Mask {
  std::array<cpu_set_t, kMostCpus / CPU_SETSIZE> words{};  // on the stack: a step allocates nothing
  [[nodiscard]] std::size_t bytes() const { return sizeof words; }
};

constexpr std::uint32_t kPiecesALook = 64;
constexpr std::chrono::milliseconds kLookEvery{100};
constexpr std::chrono::seconds kStayAway{2};
constexpr int kCrowdedPart = 20;

thread_local ThreadBinding* bound_thread = nullptr;

/// The second number of schedstat: nanoseconds ready to run but not running.
std::optional<nanoseconds> waited_time(int descriptor) {
  std::array<char, 128> text{};
  const ssize_t length = pread(descriptor, text.data(), text.size(), 0);
  if (length <= 0) return std::nullopt;
  const std::string_view line(text.data(), static_cast<std::size_t>(length));
  const std::size_t space = line.find(' ');
  std::int64_t value = 0;
  if (space == line.npos || std::from_chars(line.data() + space + 1, line.data() + line.size(), value).ec != std::errc{})
    return std::nullopt;
  return nanoseconds(value);
}

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
  if (bound_thread != nullptr) return bound_thread->before();
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

bool CrowdWatch::update(nanoseconds now, nanoseconds waited) {
  if (since_ < nanoseconds{0}) {
    since_ = now;
    waited_ = waited;
  } else if (now - since_ >= kLookEvery) {
    if ((waited - waited_) * kCrowdedPart > now - since_) until_ = now + kStayAway;
    since_ = now;
    waited_ = waited;
  }
  return now < until_;
}

ThreadBinding::ThreadBinding(std::uint32_t cpu) : cpu_(cpu) {
  if (bound_thread != nullptr) return;
  before_ = affinity_cpus();
  if (before_.empty() || !set_affinity({&cpu_, 1})) return;
  schedule_ = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  bound_thread = this;
}

ThreadBinding::~ThreadBinding() {
  if (bound_thread != this) return;
  bound_thread = nullptr;
  if (schedule_ >= 0) close(schedule_);
  set_affinity(before_);
}

void ThreadBinding::adjust() {
  if (bound_thread == nullptr || ++bound_thread->pieces_ % kPiecesALook != 0) return;
  bound_thread->look();
}

void ThreadBinding::look() {
  const nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  if (schedule_ < 0 || now < next_look_) return;
  next_look_ = now + kLookEvery;
  const auto waited = waited_time(schedule_);
  if (!waited || watch_.update(now, *waited) == away_) return;
  away_ = !away_;
  set_affinity(away_ ? std::span<const std::uint32_t>(before_) : std::span<const std::uint32_t>(&cpu_, 1));
}

}  // namespace troupe::backend::cpu
