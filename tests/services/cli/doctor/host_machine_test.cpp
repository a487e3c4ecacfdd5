#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "services/cli/doctor/machine.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli::doctor {
namespace {

namespace fs = std::filesystem;

TEST(HostMachine, ReadsWhatTheKernelSays) {
  const auto machine = this_machine();
  EXPECT_TRUE(machine->text("/proc/meminfo"));
  EXPECT_FALSE(machine->text("/proc/no/such/file"));
  EXPECT_EQ(machine->instruction_sets().front(), backend::Isa::scalar);
  EXPECT_GE(machine->cores().allowed, 1U);
  EXPECT_GE(machine->memory().total_bytes, machine->memory().free_bytes);
  EXPECT_GT(machine->memory().free_bytes, 0U);
  EXPECT_GE(machine->descriptors().hard, machine->descriptors().soft);
  EXPECT_GT(machine->clocks().steady_passed, Duration::zero());
  EXPECT_TRUE(machine->shared_memory());
}

TEST(HostMachine, TriesPortsAndLeavesThemFree) {
  const auto machine = this_machine();
  {
    ScriptServer server({{{plain_answer("ok\n")}}, {{plain_answer("hello")}}});
    const auto taken = machine->listen("127.0.0.1", server.port());
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Errc::address_in_use);
    EXPECT_TRUE(machine->troupe_answers("127.0.0.1", server.port()));
    EXPECT_FALSE(machine->troupe_answers("127.0.0.1", server.port())) << "another program's page";
  }
  std::uint16_t port = 0;
  { port = ScriptServer({}).port(); }
  EXPECT_TRUE(machine->listen("127.0.0.1", port));
  EXPECT_TRUE(machine->listen("127.0.0.1", port)) << "the first look let it go";
  EXPECT_FALSE(machine->troupe_answers("127.0.0.1", port));
  EXPECT_EQ(machine->listen("192.0.2.1", port).error().code, Errc::io_failed) << "no address of this machine";
}

TEST(HostMachine, LeavesNoFileBehindAndCountsWhatIsThere) {
  const fs::path folder =
      fs::temp_directory_path() / ("troupe-host-machine-test-" + std::to_string(::getpid()));
  fs::create_directories(folder / "0");
  std::ofstream(folder / "0" / "pages") << std::string(1000, 'x');
  const auto machine = this_machine();
  EXPECT_TRUE(machine->writable(folder));
  EXPECT_TRUE(machine->writable(folder / "not" / "yet"));
  EXPECT_FALSE(fs::exists(folder / "not"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  const auto room = machine->disk(folder);
  ASSERT_TRUE(room);
  EXPECT_EQ(room->used_bytes, 1000U);
  EXPECT_GT(machine->disk(folder / "not" / "yet")->free_bytes, 0U);
  EXPECT_EQ(machine->file_bytes(folder / "0" / "pages"), 1000U);
  EXPECT_EQ(machine->file_bytes(folder / "gone").error().code, Errc::file_not_found);
  EXPECT_FALSE(machine->writable("/proc"));
  fs::remove_all(folder);
}

TEST(HostMachine, ARedisThatIsNotThereIsSaid) {
  std::uint16_t port = 0;
  { port = ScriptServer({}).port(); }
  directory::RedisOptions redis;
  redis.address = {"127.0.0.1", port, 0};
  const auto took = this_machine()->ping_redis(redis);
  ASSERT_FALSE(took);
  EXPECT_TRUE(took.error().code == Errc::peer_lost || took.error().code == Errc::deadline_exceeded)
      << to_string(took.error());
}

}  // namespace
}  // namespace troupe::cli::doctor
