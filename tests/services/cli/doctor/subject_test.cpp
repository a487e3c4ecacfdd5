#include "services/cli/doctor/subject.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace troupe::cli::doctor {
namespace {

Expected<Subjects> read(Arguments arguments,
                        std::vector<std::pair<std::string, std::string>> environment = {}) {
  std::ostringstream out;
  Io io{out, out, 0, std::move(environment)};
  return read_subjects(std::move(arguments), io);
}

TEST(DoctorSubject, IsServeUnlessARoleIsNamed) {
  const auto serve = read({"--http-port", "9000"}, {{"TROUPE_KV_BYTES", "1GiB"}});
  ASSERT_TRUE(serve) << to_string(serve.error());
  ASSERT_EQ(serve->size(), 1U);
  EXPECT_EQ(serve->front().role, "serve");
  EXPECT_TRUE(serve->front().computes());
  EXPECT_TRUE(serve->front().serves_http());
  EXPECT_FALSE(serve->front().clustered());
  EXPECT_EQ(serve->front().config.integer("http.port"), 9000);
  EXPECT_EQ(serve->front().config.bytes("kv.bytes"), 1ULL << 30);
  const auto router = read({"--role", "router"});
  ASSERT_TRUE(router);
  EXPECT_FALSE(router->front().computes());
  EXPECT_TRUE(router->front().clustered());
}

TEST(DoctorSubject, IsEveryProcessOfAClusterFile) {
  const auto cluster =
      read({"deploy/cluster.yaml", "--http-port", "9001"}, {{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hidden"}});
  ASSERT_TRUE(cluster) << to_string(cluster.error());
  std::string roles;
  for (const Subject& subject : *cluster) roles += subject.name + "=" + subject.role + " ";
  EXPECT_EQ(roles, "router=router prefill=prefill decode=decode gateway=gateway ");
  EXPECT_EQ(cluster->back().config.integer("http.port"), 9001);
  EXPECT_EQ(cluster->back().config.text("cluster.directory_password"), "hidden");
  EXPECT_EQ(cluster->at(2).config.text("cluster.listen"), "127.0.0.1:7420");
}

TEST(DoctorSubject, RefusesWhatItsRoleWouldRefuse) {
  EXPECT_EQ(exit_code(read({"--http-prot", "1"}).error()), bad_input);
  EXPECT_FALSE(read({"--role", "waiter"}));
  EXPECT_FALSE(read({"--role", "up"}));
  EXPECT_FALSE(read({"--role", "router", "--kv-bytes", "1GiB"}));
  EXPECT_FALSE(read({"--http-port", "1", "stray"}));
  EXPECT_FALSE(read({"no/such.yaml"}));
  EXPECT_FALSE(read({"deploy/cluster.yaml", "--config=x"}));
}

}  // namespace
}  // namespace troupe::cli::doctor
