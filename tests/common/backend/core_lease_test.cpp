// CPUs leased among processes: disjoint, all or none, back when their holder dies; and the pools that stand on them. CPU
// numbers are made up where no thread runs on them, so that a machine with one CPU tests everything.
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "common/backend/cpu/core_lease.hpp"
#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/thread_pool.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

using cpu::CoreLease;
using cpu::CpuPlace;
using cpu::LeaseOutcome;
using Cpus = std::vector<std::uint32_t>;

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe-lease-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path;
};

std::vector<CpuPlace> plain(std::uint32_t cpus) {
  std::vector<CpuPlace> places;
  for (std::uint32_t i = 0; i < cpus; ++i) places.push_back({i, i, 0});
  return places;
}

Cpus held(const CoreLease& lease) { return {lease.cpus().begin(), lease.cpus().end()}; }

/// A process that takes a lease and keeps it until it is killed.
class Holder {
 public:
  Holder(std::uint32_t wanted, const std::vector<CpuPlace>& places, const std::string& folder) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) std::abort();
    child_ = fork();
    if (child_ == 0) {
      const CoreLease lease = cpu::lease_cores(wanted, places, folder);
      std::array<std::uint32_t, 65> answer{};
      answer[0] = static_cast<std::uint32_t>(lease.outcome());
      std::ranges::copy(lease.cpus(), answer.begin() + 1);
      const bool told = write(ends[1], answer.data(), 4 * (1 + lease.cpus().size())) > 0;
      close(ends[1]);
      while (told) pause();
      _exit(1);
    }
    close(ends[1]);
    std::array<std::uint32_t, 65> answer{};
    const ssize_t bytes = read(ends[0], answer.data(), sizeof answer);
    close(ends[0]);
    if (bytes < 4) return;
    outcome = static_cast<LeaseOutcome>(answer[0]);
    cpus.assign(answer.begin() + 1, answer.begin() + bytes / 4);
  }
  ~Holder() { die(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void die() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  LeaseOutcome outcome = LeaseOutcome::none;
  Cpus cpus;

 private:
  pid_t child_ = -1;
};

TEST(CoreLease, GivesProcessesDisjointCpusUntilTooFewAreLeft) {
  const Folder folder;
  const auto places = plain(8);
  const Holder first(3, places, folder.path), second(4, places, folder.path);
  EXPECT_EQ(first.cpus, (Cpus{0, 1, 2}));
  EXPECT_EQ(second.cpus, (Cpus{3, 4, 5, 6}));
  const Holder third(2, places, folder.path);
  EXPECT_EQ(third.outcome, LeaseOutcome::oversubscribed);
  EXPECT_TRUE(third.cpus.empty()) << "all or none";
  EXPECT_EQ(Holder(1, places, folder.path).cpus, (Cpus{7})) << "what the third could not use is not lost";
}

TEST(CoreLease, TakesBackWhatAKilledProcessHeld) {
  const Folder folder;
  const auto places = plain(4);
  Holder holder(4, places, folder.path);
  ASSERT_EQ(holder.outcome, LeaseOutcome::leased);
  EXPECT_EQ(cpu::lease_cores(1, places, folder.path).outcome(), LeaseOutcome::oversubscribed);
  holder.die();
  EXPECT_EQ(held(cpu::lease_cores(4, places, folder.path)), (Cpus{0, 1, 2, 3}));
}

TEST(CoreLease, LetsPoolsOfOneProcessCompeteAndGivesBack) {
  const Folder folder;
  const auto places = plain(4);
  CoreLease first = cpu::lease_cores(2, places, folder.path);
  CoreLease second = cpu::lease_cores(2, places, folder.path);
  EXPECT_EQ(held(first), (Cpus{0, 1}));
  EXPECT_EQ(held(second), (Cpus{2, 3}));
  EXPECT_EQ(cpu::lease_cores(1, places, folder.path).outcome(), LeaseOutcome::oversubscribed);
  first = std::move(second);
  EXPECT_EQ(held(first), (Cpus{2, 3}));
  EXPECT_TRUE(second.cpus().empty());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(held(cpu::lease_cores(2, places, folder.path)), (Cpus{0, 1}));
}

TEST(CoreLease, GrantsOneOfSeveralThatAskAtOnce) {
  const Folder folder;
  const auto places = plain(4);
  std::atomic<int> granted{0}, refused{0};
  std::array<CoreLease, 4> leases;
  std::vector<std::thread> askers;
  for (CoreLease& lease : leases)
    askers.emplace_back([&] {
      lease = cpu::lease_cores(3, places, folder.path);
      (lease.outcome() == LeaseOutcome::leased ? granted : refused).fetch_add(1);
    });
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(granted.load(), 1);
  EXPECT_EQ(refused.load(), 3);
}

TEST(CoreLease, IsNoneWhereTheFolderIsNotToBeTrusted) {
  const Folder folder;
  const auto places = plain(2);
  const auto outcome = [&](const std::string& path) { return cpu::lease_cores(1, places, path).outcome(); };
  EXPECT_EQ(outcome(folder.path + "/made"), LeaseOutcome::leased) << "a missing folder is made";
  EXPECT_EQ(outcome(folder.path + "/not/made"), LeaseOutcome::none);
  EXPECT_EQ(outcome(""), LeaseOutcome::none);
  std::filesystem::create_directory_symlink(folder.path, folder.path + "/link");
  EXPECT_EQ(outcome(folder.path + "/link"), LeaseOutcome::none);
  chmod(folder.path.c_str(), 0770);
  EXPECT_EQ(outcome(folder.path), LeaseOutcome::none) << "others could hold its locks";
  chmod(folder.path.c_str(), 0700);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(folder.path.c_str(), 12345, 12345), 0);
    EXPECT_EQ(outcome(folder.path), LeaseOutcome::none) << "another user's";
    ASSERT_EQ(chown(folder.path.c_str(), 0, 0), 0);
  } else {
    chmod(folder.path.c_str(), 0500);
    EXPECT_EQ(outcome(folder.path), LeaseOutcome::none) << "not writable";
    chmod(folder.path.c_str(), 0700);
    EXPECT_EQ(outcome("/"), LeaseOutcome::none) << "another user's";
  }
  EXPECT_EQ(outcome(folder.path), LeaseOutcome::leased);
}

TEST(ChooseCpus, TakesOneThreadOfEachCoreBeforeSiblingsAndStaysOnANode) {
  // CPUs 0-3 and their siblings 4-7; cores 0 and 1 on node 0, 2 and 3 on node 1
  std::vector<CpuPlace> all;
  for (std::uint32_t i = 0; i < 8; ++i) all.push_back({i, i % 4, i % 4 / 2});
  EXPECT_EQ(cpu::choose_cpus(2, all, all), (Cpus{0, 1}));
  EXPECT_EQ(cpu::choose_cpus(4, all, all), (Cpus{0, 1, 2, 3}));
  EXPECT_EQ(cpu::choose_cpus(6, all, all), (Cpus{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(cpu::choose_cpus(9, all, all), (Cpus{}));
  const auto without = [&](const std::set<std::uint32_t>& taken) {
    std::vector<CpuPlace> free = all;
    std::erase_if(free, [&](const CpuPlace& place) { return taken.contains(place.cpu); });
    return free;
  };
  EXPECT_EQ(cpu::choose_cpus(2, all, without({0})), (Cpus{2, 3})) << "node 1 holds two free cores, node 0 one";
  EXPECT_EQ(cpu::choose_cpus(4, all, without({0})), (Cpus{2, 3, 1, 4})) << "a core that a neighbour computes on comes after free ones";
}

}  // namespace
}  // namespace troupe::backend::test
