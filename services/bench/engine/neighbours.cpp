#include "services/bench/engine/neighbours.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string>

namespace troupe::bench {
namespace {

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

std::optional<CpuUsage> usage_now() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  auto usage = parse_proc_stat(line, static_cast<double>(::sysconf(_SC_CLK_TCK)));
  rusage own{};
  if (!usage || ::getrusage(RUSAGE_SELF, &own) != 0) return std::nullopt;
  usage->own = seconds(own.ru_utime) + seconds(own.ru_stime);
  return usage;
}

}  // namespace

std::optional<CpuUsage> parse_proc_stat(std::string_view line, double hertz) {
  if (!line.starts_with("cpu ")) return std::nullopt;
  line.remove_prefix(4);
  // user nice system idle iowait irq softirq steal; guest time, behind them, is in user already.
  std::array<double, 8> ticks{};
  for (double& tick : ticks) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    std::uint64_t value = 0;
    const auto read = std::from_chars(line.data(), line.data() + line.size(), value);
    if (read.ec != std::errc{}) return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(read.ptr - line.data()));
    tick = static_cast<double>(value) / hertz;
  }
  CpuUsage usage;
  for (const double tick : ticks) usage.total += tick;
  usage.stolen = ticks[7];
  usage.busy = usage.total - ticks[3] - ticks[4] - ticks[7];
  return usage;
}

double neighbour_share(const CpuUsage& begin, const CpuUsage& end) {
  const double total = end.total - begin.total;
  if (total <= 0) return 1;
  const double foreign = std::max(0.0, (end.busy - begin.busy) - (end.own - begin.own));
  return std::clamp((foreign + std::max(0.0, end.stolen - begin.stolen)) / total, 0.0, 1.0);
}

NeighbourWatch::NeighbourWatch() : begin_(usage_now()) {}

double NeighbourWatch::share() const {
  const auto end = usage_now();
  return begin_ && end ? neighbour_share(*begin_, *end) : 1.0;
}

}  // namespace troupe::bench
