#include "services/bench/foreign_cpu.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace troupe::load {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

template <class Number>
std::optional<Number> to_number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The words of a line.
std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\n"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

struct Process {
  int parent = 0;
  std::string name;
  std::uint64_t ticks = 0;
};

std::map<int, Process> read_processes() {
  std::map<int, Process> out;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    if (!to_number<int>(at->path().filename().string())) continue;
    const std::string text = read_text(at->path() / "stat");
    if (const auto stat = parse_process_stat(text))
      out[stat->pid] = {stat->parent, std::string(stat->name), stat->ticks};
  }
  return out;
}

/// `pid`, or the farthest process above it of the same name without another between.
int top_of(int pid, const std::map<int, Process>& all) {
  for (;;) {
    const auto own = all.find(pid);
    if (own == all.end()) return pid;
    const auto parent = all.find(own->second.parent);
    if (parent == all.end() || parent->second.name != own->second.name) return pid;
    pid = own->second.parent;
  }
}

bool is_below(int pid, const std::set<int>& tops, const std::map<int, Process>& all) {
  for (std::size_t steps = 0; steps <= all.size(); ++steps) {
    if (tops.contains(pid)) return true;
    const auto found = all.find(pid);
    if (found == all.end() || found->second.parent == pid) return false;
    pid = found->second.parent;
  }
  return false;
}

bool holds_socket(const fs::path& process, const std::string& link) {
  std::error_code error;
  for (fs::directory_iterator at(process / "fd", error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (fs::read_symlink(at->path(), ignored).string() == link) return true;
  }
  return false;
}

}  // namespace

std::optional<MachineTicks> parse_machine_ticks(std::string_view stat) {
  const auto words = split(stat.substr(0, stat.find('\n')));
  if (words.size() < 5 || words[0] != "cpu") return std::nullopt;
  // user nice system idle iowait irq softirq steal; guest time after them is in user already
  std::array<std::uint64_t, 8> ticks{};
  for (std::size_t i = 0; i < ticks.size() && i + 1 < words.size(); ++i) {
    const auto value = to_number<std::uint64_t>(words[i + 1]);
    if (!value) return std::nullopt;
    ticks[i] = *value;
  }
  MachineTicks out;
  for (const std::uint64_t each : ticks) out.total += each;
  out.stolen = ticks[7];
  out.busy = out.total - ticks[3] - ticks[4] - ticks[7];
  return out;
}

std::optional<ProcessStat> parse_process_stat(std::string_view stat) {
  const std::size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  const auto before = split(stat.substr(0, open)), after = split(stat.substr(close + 1));
  if (before.size() != 1 || after.size() < 15) return std::nullopt;
  const auto pid = to_number<int>(before[0]), parent = to_number<int>(after[1]);
  ProcessStat out;
  for (const std::size_t field : {11U, 12U, 13U, 14U}) {  // utime stime cutime cstime
    const auto ticks = to_number<std::uint64_t>(after[field]);
    if (!ticks) return std::nullopt;
    out.ticks += *ticks;
  }
  if (!pid || !parent) return std::nullopt;
  out.pid = *pid, out.parent = *parent, out.name = stat.substr(open + 1, close - open - 1);
  return out;
}

std::optional<std::uint64_t> listening_inode(std::string_view table, std::uint16_t port) {
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    const auto words = split(table.substr(0, end));
    table.remove_prefix(std::min(end + 1, table.size()));
    if (words.size() < 10 || words[3] != "0A") continue;  // TCP_LISTEN
    const std::size_t colon = words[1].rfind(':');
    if (colon == std::string_view::npos || to_number<std::uint16_t>(words[1].substr(colon + 1), 16) != port)
      continue;
    return to_number<std::uint64_t>(words[9]);
  }
  return std::nullopt;
}

int listening_process(std::uint16_t port) {
  auto inode = listening_inode(read_text("/proc/net/tcp"), port);
  if (!inode) inode = listening_inode(read_text("/proc/net/tcp6"), port);
  if (!inode) return 0;
  const std::string link = "socket:[" + std::to_string(*inode) + "]";
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto pid = to_number<int>(at->path().filename().string());
    if (pid && holds_socket(at->path(), link)) return *pid;
  }
  return 0;
}

std::optional<CpuReading> read_cpu(const std::vector<int>& servers) {
  const auto machine = parse_machine_ticks(read_text("/proc/stat"));
  if (!machine) return std::nullopt;
  const auto all = read_processes();
  std::set<int> tops{static_cast<int>(::getpid())};
  for (const int server : servers)
    if (server > 0) tops.insert(top_of(server, all));
  CpuReading out{*machine, 0};
  for (const auto& [pid, process] : all)
    if (is_below(pid, tops, all)) out.driven += process.ticks;
  return out;
}

double foreign_share(const CpuReading& begin, const CpuReading& end) {
  const double total = static_cast<double>(end.machine.total - begin.machine.total);
  if (total <= 0) return 0;
  const double busy = static_cast<double>(end.machine.busy) - static_cast<double>(begin.machine.busy);
  const double driven = static_cast<double>(end.driven) - static_cast<double>(begin.driven);
  const double stolen = static_cast<double>(end.machine.stolen) - static_cast<double>(begin.machine.stolen);
  return std::clamp((std::max(0.0, busy - driven) + stolen) / total, 0.0, 1.0);
}

}  // namespace troupe::load
