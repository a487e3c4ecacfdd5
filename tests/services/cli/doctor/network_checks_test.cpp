#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/cli/doctor/checks.hpp"
#include "tests/services/cli/doctor/fake_machine.hpp"

namespace troupe::cli::doctor {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(DoctorNetwork, FreePortsAreNamed) {
  const FakeMachine machine;
  EXPECT_EQ(spelled(check_ports(subjects_of({}), machine)), "ok: free: 8080\n");
  EXPECT_EQ(spelled(check_ports(subjects_of({"--role", "decode"}), machine)), "ok: any free ones will do\n");
  EXPECT_EQ(spelled(check_ports(subjects_of({"--role", "decode", "--cluster-listen", "127.0.0.1:7001",
                                             "--cluster-data-listen", "127.0.0.1:7002", "--metrics-port",
                                             "9001", "--kv-events-endpoint", "127.0.0.1:7003"}),
                                machine)),
            "ok: free: 9001, 7001, 7002, 7003\n");
}

TEST(DoctorNetwork, ATakenPortIsAProblemUnlessTroupeAnswersThere) {
  FakeMachine machine;
  machine.taken[8080] = Errc::address_in_use;
  EXPECT_THAT(spelled(check_ports(subjects_of({}), machine)),
              StartsWith("problem: serve: http.port 127.0.0.1:8080 is taken by another program"));
  machine.troupes.insert(8080);
  EXPECT_THAT(spelled(check_ports(subjects_of({}), machine)),
              StartsWith("warning: serve: http.port 127.0.0.1:8080 is taken"));
}

TEST(DoctorNetwork, AControlPortBelongsToTheProcessWhoseMetricsAnswer) {
  FakeMachine machine;
  machine.taken = {{7001, Errc::address_in_use}, {9001, Errc::address_in_use}};
  machine.troupes = {9001};
  const Subjects router =
      subjects_of({"--role", "router", "--cluster-listen", "127.0.0.1:7001", "--metrics-port", "9001"});
  EXPECT_EQ(count(check_ports(router, machine), Level::problem), 0U) << spelled(check_ports(router, machine));
  EXPECT_EQ(count(check_ports(router, machine), Level::warning), 2U);
}

TEST(DoctorNetwork, AnAddressOfAnotherMachineIsNoPlaceToListen) {
  FakeMachine machine;
  machine.taken[80] = Errc::io_failed;
  EXPECT_THAT(spelled(check_ports(subjects_of({"--http-port", "80"}), machine)),
              StartsWith("problem: serve: http.port 127.0.0.1:80: said so"));
  EXPECT_THAT(
      spelled(check_ports(subjects_of({"--role", "router", "--cluster-listen", "0.0.0.0:7001"}), machine)),
      HasSubstr("problem: router: cluster.listen is 0.0.0.0:7001, which others"));
  EXPECT_THAT(
      spelled(check_ports(subjects_of({"--role", "router", "--cluster-listen", "0.0.0.0:7001", "--insecure"}),
                          machine)),
      StartsWith("ok"));
  EXPECT_THAT(
      spelled(check_ports(subjects_of({"--role", "router", "--cluster-listen", "nonsense"}), machine)),
      StartsWith("problem: router: cluster.listen: "));
}

TEST(DoctorNetwork, NoTwoListenersMayHaveOnePort) {
  const FakeMachine machine;
  const Subjects same = subjects_of({"--role", "router", "--cluster-listen", "127.0.0.1:7001",
                                     "--metrics-port", "7001", "--metrics-host", "0.0.0.0"});
  EXPECT_THAT(spelled(check_ports(same, machine)),
              HasSubstr("metrics.port 0.0.0.0:7001 is also that of router: cluster.listen"));
}

TEST(DoctorNetwork, RedisIsAskedOnceWhereItIsConfigured) {
  FakeMachine machine;
  EXPECT_TRUE(check_directory(subjects_of({}), machine).empty());
  const Subjects redis = subjects_of({"--cluster-directory", "redis://127.0.0.1:6380/1"},
                                     {{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hidden"}});
  EXPECT_EQ(spelled(check_directory(redis, machine)), "ok: redis://127.0.0.1:6380/1 answers in 80 us\n");
  EXPECT_EQ(machine.pinged.address.port, 6380);
  EXPECT_EQ(machine.pinged.address.database, 1U);
  EXPECT_EQ(machine.pinged.password, "hidden");
  machine.redis = fail(Errc::peer_lost, "the directory is not reachable");
  const std::string away = spelled(check_directory(redis, machine));
  EXPECT_THAT(away, StartsWith("problem: redis://127.0.0.1:6380/1: peer_lost"));
  EXPECT_EQ(away.find("hidden"), std::string::npos);
  machine.redis = fail(Errc::io_failed, "NOAUTH Authentication required.");
  EXPECT_THAT(spelled(check_directory(redis, machine)), HasSubstr("TROUPE_CLUSTER_DIRECTORY_PASSWORD"));
  EXPECT_THAT(spelled(check_directory(subjects_of({"--cluster-directory", "redis:/x"}), machine)),
              StartsWith("problem: cluster.directory: "));
}

TEST(DoctorNetwork, AClusterFileAsksItsRedisOnce) {
  const FakeMachine machine;
  const Subjects cluster = subjects_of({"deploy/cluster.yaml", "--cluster-directory", "redis://127.0.0.1"});
  EXPECT_EQ(check_directory(cluster, machine).size(), 1U);
}

}  // namespace
}  // namespace troupe::cli::doctor
