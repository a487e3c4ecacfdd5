#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/cli/doctor/checks.hpp"
#include "tests/services/cli/doctor/fake_machine.hpp"

namespace troupe::cli::doctor {
namespace {

using backend::Isa;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

class DoctorMachine : public testing::Test {
 protected:
  FakeMachine machine;
  Subjects serve = subjects_of({});
  Subjects decode = subjects_of({"--role", "decode"});
  Subjects router = subjects_of({"--role", "router"});
};

TEST_F(DoctorMachine, VersionNamesProgramAndKernelAndKnowsWhenSharedMemoryCame) {
  EXPECT_EQ(spelled(check_version(serve, machine)), "ok: troupe 9.8.7 on Linux 6.1.0-13-amd64\n");
  machine.texts["/proc/sys/kernel/osrelease"] = "5.2.1";
  EXPECT_THAT(spelled(check_version(serve, machine)),
              StartsWith("warning: troupe 9.8.7 on Linux 5.2.1: before 5.3"));
  machine.texts["/proc/sys/kernel/osrelease"] = "5.3.0";
  EXPECT_THAT(spelled(check_version(serve, machine)), StartsWith("ok"));
  machine.texts.clear();
  EXPECT_THAT(spelled(check_version(serve, machine)), StartsWith("warning"));
}

TEST_F(DoctorMachine, CpuSaysWhichKernelsRunAndWhatWiderOnesLack) {
  EXPECT_EQ(spelled(check_cpu(serve, machine)), "ok: kernels avx512\n");
  machine.isas.pop_back();
  EXPECT_EQ(
      spelled(check_cpu(serve, machine)),
      "ok: kernels avx2; wider ones need AVX-512 VNNI (the processor lacks avx512bw, avx512vl, avx512dq, "
      "avx512_vnni)\n");
  machine.isas.pop_back();
  machine.texts["/proc/cpuinfo"] = "flags : sse2 avx2 fma\n";
  EXPECT_THAT(spelled(check_cpu(serve, machine)), StartsWith("warning: kernels scalar only"));
  EXPECT_THAT(spelled(check_cpu(serve, machine)), HasSubstr("lacks f16c)"));
  EXPECT_TRUE(check_cpu(router, machine).empty()) << "a router computes nothing";
}

TEST_F(DoctorMachine, AnInstructionSetThatIsAskedForMustBeThere) {
  machine.isas.pop_back();
  EXPECT_THAT(spelled(check_cpu(subjects_of({"--engine-isa", "avx512"}), machine)),
              StartsWith("problem: engine.isa is avx512, which this machine has not"));
  EXPECT_THAT(spelled(check_cpu(subjects_of({"--engine-isa", "scalar"}), machine)),
              StartsWith("warning: kernels scalar"));
  EXPECT_THAT(spelled(check_cpu(subjects_of({"--engine-isa", "avx2"}), machine)), StartsWith("ok"));
}

TEST_F(DoctorMachine, CoresCountTheThreadsOfEveryEngineAgainstAffinityAndQuota) {
  EXPECT_EQ(spelled(check_cores(serve, machine)), "ok: 8 compute threads of 1 engine, 8 cores may be used\n");
  machine.core.quota = 2;
  EXPECT_EQ(
      spelled(check_cores(serve, machine)),
      "ok: 2 compute threads of 1 engine, 2 cores may be used (the cgroup's quota; affinity allows 8)\n");
  EXPECT_THAT(spelled(check_cores(subjects_of({"--engine-threads", "3"}), machine)),
              StartsWith("warning: 3 compute threads of 1 engine, 2 cores"));
  EXPECT_THAT(spelled(check_cores(subjects_of({"--model", "smollm2-135m-instruct,gemma-3-270m"}), machine)),
              StartsWith("warning: 4 compute threads of 2 engines"));
  EXPECT_TRUE(check_cores(router, machine).empty());
}

TEST_F(DoctorMachine, TheWorkersOfAClusterFileShareTheCores) {
  const Subjects cluster = subjects_of({"deploy/cluster.yaml"});
  EXPECT_THAT(spelled(check_cores(cluster, machine)), HasSubstr("of 2 engines"));
}

TEST_F(DoctorMachine, HugePagesMustNotBeSwitchedOff) {
  EXPECT_THAT(spelled(check_huge_pages(serve, machine)), StartsWith("ok"));
  machine.texts["/sys/kernel/mm/transparent_hugepage/enabled"] = "always madvise [never]\n";
  EXPECT_THAT(spelled(check_huge_pages(serve, machine)), StartsWith("warning: switched off"));
  machine.texts.clear();
  EXPECT_THAT(spelled(check_huge_pages(serve, machine)), StartsWith("warning: the kernel does not say"));
  EXPECT_TRUE(check_huge_pages(router, machine).empty());
}

TEST_F(DoctorMachine, SharedMemoryIsForWorkersOfACluster) {
  EXPECT_EQ(spelled(check_shared_memory(decode, machine)),
            "ok: up to 32 MiB of frames for workers of this host\n");
  EXPECT_TRUE(check_shared_memory(serve, machine).empty());
  machine.memfd = fail(Errc::io_failed, "memfd_create: Operation not permitted");
  EXPECT_THAT(spelled(check_shared_memory(decode, machine)),
              StartsWith("warning: there is none: memfd_create"));
  const Subjects sockets = subjects_of({"--role", "decode", "--kv-transfer-shared-bytes", "0"});
  EXPECT_TRUE(check_shared_memory(sockets, machine).empty());
}

TEST_F(DoctorMachine, DescriptorsMustSufficeForTheConnectionsThatAreAllowed) {
  EXPECT_THAT(spelled(check_descriptors(serve, machine)),
              StartsWith("ok: 65536 may be open, 1152 are needed"));
  machine.limits = {1024, 1048576};
  EXPECT_THAT(spelled(check_descriptors(serve, machine)), StartsWith("warning: 1024 may be open"));
  EXPECT_THAT(spelled(check_descriptors(decode, machine)), StartsWith("ok"));
  machine.limits = {1024, 1024};
  EXPECT_THAT(spelled(check_descriptors(serve, machine)), HasSubstr("(the hard limit is 1024)"));
  machine.limits = {64, 64};
  EXPECT_THAT(spelled(check_descriptors(decode, machine)), StartsWith("problem"));
}

TEST_F(DoctorMachine, ClocksAgreeOrSayHowTheyDoNot) {
  EXPECT_EQ(spelled(check_clock(serve, machine)), "ok: monotonic and wall clock agree\n");
  machine.clock.wall_passed = -3s;
  machine.clock.read_cost = 1200ns;
  machine.clock.synchronised = false;
  machine.texts["/sys/devices/system/clocksource/clocksource0/current_clocksource"] = "hpet\n";
  const std::string said = spelled(check_clock(serve, machine));
  EXPECT_THAT(said, HasSubstr("warning: the wall clock was set"));
  EXPECT_THAT(said, HasSubstr("takes 1200 ns (source hpet)"));
  EXPECT_THAT(said, HasSubstr("no time service"));
  machine.clock = {};
  EXPECT_THAT(spelled(check_clock(serve, machine)), HasSubstr("problem: the wall clock is in the past"));
  EXPECT_THAT(spelled(check_clock(serve, machine)), HasSubstr("problem: the monotonic clock stands still"));
}

}  // namespace
}  // namespace troupe::cli::doctor
