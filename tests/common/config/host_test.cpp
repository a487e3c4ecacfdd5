#include "common/config/host.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace troupe {
namespace {

namespace fs = std::filesystem;

class HostLimits : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("troupe-host-test-" + std::to_string(::getpid()));
    write("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  fs::path root_;
  static constexpr std::uint64_t kGiB = 1ULL << 30;
};

TEST_F(HostLimits, WithoutACgroupAreTheMachines) {
  const auto limits = detail::read_limits(root_);
  EXPECT_EQ(limits.memory_bytes, 8 * kGiB);
  EXPECT_EQ(limits.memory_free, 4 * kGiB);
  EXPECT_FALSE(limits.cpu_cores);
}

TEST_F(HostLimits, TakeTheTightestOfTheGroupAndItsParents) {
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
  write("sys/fs/cgroup/a/memory.max", "3221225472\n");
  write("sys/fs/cgroup/a/memory.current", "1073741824\n");
  write("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  const auto limits = detail::read_limits(root_);
  EXPECT_EQ(limits.memory_bytes, 3 * kGiB);
  EXPECT_EQ(limits.memory_free, 2 * kGiB);
  EXPECT_EQ(limits.cpu_cores, 3U);  // 2.5 rounded up
}

TEST_F(HostLimits, ReadVersionOneGroups) {
  write("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1073741824\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "2147483648\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  const auto limits = detail::read_limits(root_);
  EXPECT_EQ(limits.memory_bytes, kGiB);
  EXPECT_EQ(limits.memory_free, 0U);
  EXPECT_EQ(limits.cpu_cores, 1U);
}

TEST_F(HostLimits, TakeAMountThatIsTheGroupItself) {
  write("proc/self/cgroup", "0::/not/mounted/here\n");
  write("sys/fs/cgroup/memory.max", "1073741824\n");
  EXPECT_EQ(detail::read_limits(root_).memory_bytes, kGiB);
}

TEST_F(HostLimits, IgnoreGarbage) {
  write("proc/self/cgroup", "nonsense\n0::\n");
  write("sys/fs/cgroup/memory.max", "lots\n");
  write("sys/fs/cgroup/cpu.max", "0 0\n");
  EXPECT_EQ(detail::read_limits(root_).memory_bytes, 8 * kGiB);
  EXPECT_FALSE(detail::read_limits(root_).cpu_cores);
}

TEST(Host, ThisMachineHasACoreAndMemory) {
  EXPECT_GE(usable_cores(), 1U);
  EXPECT_GT(usable_memory_bytes(), 0U);
  EXPECT_LE(free_memory_bytes(), usable_memory_bytes());
}

}  // namespace
}  // namespace troupe
