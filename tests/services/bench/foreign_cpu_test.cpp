#include "services/bench/foreign_cpu.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/common/http/script_server.hpp"

namespace troupe::load {
namespace {

TEST(ForeignCpu, ReadsTheMachinesLine) {
  const auto ticks = parse_machine_ticks("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1\n");
  ASSERT_TRUE(ticks);
  EXPECT_EQ(ticks->total, 621u);  // guest time is within user
  EXPECT_EQ(ticks->busy, 163u);
  EXPECT_EQ(ticks->stolen, 8u);
  for (const char* bad : {"", "cpu0 1 2 3 4", "cpu 1 2 x 4", "cpu 1 2"})
    EXPECT_FALSE(parse_machine_ticks(bad)) << bad;
}

TEST(ForeignCpu, ReadsAProcessWhateverItsName) {
  const auto stat =
      parse_process_stat("42 (a) (b c) S 7 42 42 0 -1 4194560 100 200 0 0 11 5 3 1 20 0 1 0 1234 5678 90");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->name, "a) (b c");
  EXPECT_EQ(stat->ticks, 20u);
  for (const char* bad : {"", "42 (x", "42 (x) S 7", ") ("}) EXPECT_FALSE(parse_process_stat(bad)) << bad;
}

TEST(ForeignCpu, FindsTheListenersInode) {
  constexpr std::string_view kTable =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n"
      "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n";
  EXPECT_EQ(listening_inode(kTable, 8080), 222u);
  EXPECT_EQ(listening_inode(kTable, 8081), std::nullopt);
  EXPECT_EQ(listening_inode("", 1), std::nullopt);
}

TEST(ForeignCpu, OursIsTheProcessThatListens) {
  ScriptServer server({});
  const int pid = listening_process(server.port());
  if (pid == 0) GTEST_SKIP() << "the system does not tell who listens";
  EXPECT_EQ(pid, ::getpid());
}

TEST(ForeignCpu, IsWhatIsBusyAndNotDrivenPlusStolen) {
  const CpuReading begin{{1000, 500, 10}, 300}, end{{2000, 1100, 30}, 800};
  EXPECT_DOUBLE_EQ(foreign_share(begin, end), 0.12);
  EXPECT_EQ(foreign_share(begin, begin), 0);
  EXPECT_EQ(foreign_share(begin, {{2000, 600, 10}, 900}), 0);
}

TEST(ForeignCpu, ThisProcessIsDriven) {
  const auto reading = read_cpu({});
  if (!reading) GTEST_SKIP() << "no /proc/stat";
  EXPECT_LE(reading->driven, reading->machine.busy);
}

}  // namespace
}  // namespace troupe::load
