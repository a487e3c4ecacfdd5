#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "services/cli/cluster_file.hpp"

namespace troupe::cli {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

Expected<ClusterPlan> plan_of(const std::string& yaml, const Arguments& flags = {},
                              const Environment& environment = {}) {
  const auto file = parse_cluster_file(*parse_yaml(yaml, "c.yaml"), "c.yaml");
  if (!file) return tl::unexpected<Error>(file.error());
  std::uint16_t next = 40'000;
  return plan_cluster(*file, flags, environment,
                      [&](const std::string&) -> Expected<std::uint16_t> { return next++; });
}

bool has(const ProcessPlan& process, const std::string& argument) {
  return std::count(process.arguments.begin(), process.arguments.end(), argument) == 1;
}

std::string error_of(const Expected<ClusterPlan>& plan) {
  return plan ? "no error" : plan.error().detail;
}

const std::string kSmall =
    "options: {model: [a], engine: {threads: 2}, http: {port: 9000}}\n"
    "processes:\n"
    "  - {role: gateway}\n"
    "  - {role: decode, options: {engine: {threads: 5}}}\n"
    "  - {role: router, port: 7400}\n";

TEST(ClusterPlan, TiesTheProcessesTogether) {
  const auto plan = plan_of(kSmall);
  ASSERT_TRUE(plan) << to_string(plan.error());
  ASSERT_EQ(plan->processes.size(), 3U);
  const ProcessPlan& router = plan->processes[0];
  const ProcessPlan& decode = plan->processes[1];
  const ProcessPlan& gateway = plan->processes[2];
  EXPECT_EQ(router.arguments, (Arguments{"router", "--model=a", "--cluster-listen=127.0.0.1:7400"}));
  EXPECT_EQ(decode.arguments,
            (Arguments{"decode", "--model=a", "--engine-threads=5", "--cluster-router=127.0.0.1:7400",
                       "--cluster-listen=127.0.0.1:40000", "--cluster-data-listen=127.0.0.1:40001"}));
  EXPECT_EQ(gateway.arguments,
            (Arguments{"gateway", "--model=a", "--http-port=9000", "--cluster-router=127.0.0.1:7400",
                       "--cluster-listen=127.0.0.1:40002"}));
  EXPECT_EQ(plan->urls, std::vector<std::string>{"http://127.0.0.1:9000/v1"});
}

TEST(ClusterPlan, EveryProcessKnowsAllRouters) {
  const auto plan = plan_of(kSmall + "  - {role: router, port: 7500}\n");
  ASSERT_TRUE(plan) << to_string(plan.error());
  ASSERT_EQ(plan->processes.size(), 4U);
  for (const std::size_t other : {2U, 3U})
    EXPECT_TRUE(has(plan->processes[other], "--cluster-router=127.0.0.1:7400,127.0.0.1:7500"));
}

TEST(ClusterPlan, DecodeWorkersAreToldOfDraftServices) {
  const std::string drafts =
      "  - {role: draft, port: 7600, options: {draft: {model: [small]}}}\n  - {role: draft, port: 7601}\n";
  const auto plan = plan_of(kSmall + drafts);
  ASSERT_TRUE(plan) << to_string(plan.error());
  ASSERT_EQ(plan->processes.size(), 5U);
  EXPECT_EQ(plan->processes[1].arguments,
            (Arguments{"draft", "--model=a", "--engine-threads=2", "--draft-model=small", "--cluster-listen=127.0.0.1:7600"}));
  EXPECT_EQ(plan->processes[3].role, "decode");
  EXPECT_TRUE(has(plan->processes[3], "--speculation-service=127.0.0.1:7600,127.0.0.1:7601"));
  const auto named = plan_of(kSmall + drafts, {"--speculation-service=10.0.0.1:9"});
  ASSERT_TRUE(named) << to_string(named.error());
  EXPECT_TRUE(has(named->processes[3], "--speculation-service=10.0.0.1:9"));
}

TEST(ClusterPlan, ASecretIsInNoCommandLine) {
  const std::string yaml = "options: {cluster: {directory: \"redis://127.0.0.1:6379\", directory_password: hunter2}}\n" +
                           kSmall.substr(kSmall.find("processes"));
  const auto plan = plan_of(yaml);
  ASSERT_TRUE(plan) << to_string(plan.error());
  for (const ProcessPlan& process : plan->processes)
    for (const std::string& argument : process.arguments) EXPECT_EQ(argument.find("hunter2"), std::string::npos);
  EXPECT_TRUE(has(plan->processes[2], "--cluster-directory=redis://127.0.0.1:6379"));
  EXPECT_EQ(plan->secrets, (Environment{{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hunter2"}}));
  const std::string own =
      "processes: [{role: router}, {role: decode}, {role: gateway, options: {cluster: {directory_password: hunter2}}}]\n";
  EXPECT_NE(error_of(plan_of(own)).find("cluster.directory_password"), std::string::npos);
}

TEST(ClusterPlan, FlagsBeatTheEnvironmentAndThatBeatsTheFile) {
  const auto decode = [](const Expected<ClusterPlan>& plan) { return plan->processes[1]; };
  EXPECT_TRUE(has(decode(plan_of(kSmall, {}, {{"TROUPE_ENGINE_THREADS", "3"}})), "--engine-threads=3"));
  EXPECT_TRUE(has(decode(plan_of(kSmall, {"--engine-threads=4"}, {{"TROUPE_ENGINE_THREADS", "3"}})),
                  "--engine-threads=4"));
}

TEST(ClusterPlan, PicksPortsThatAreZero) {
  const auto plan = plan_of(kSmall, {"--http-port=0", "--metrics-port=0"});
  EXPECT_TRUE(has(plan->processes[0], "--metrics-port=40000"));
  EXPECT_EQ(plan->processes[0].place, "127.0.0.1:7400, metrics http://127.0.0.1:40000/metrics");
  EXPECT_TRUE(has(plan->processes[2], "--http-port=40005"));
}

TEST(ClusterPlan, BracketsIpv6) {
  const auto plan = plan_of("host: \"::1\"\n" + kSmall);
  EXPECT_TRUE(has(plan->processes[0], "--cluster-listen=[::1]:7400"));
}

TEST(ClusterPlan, RefusesAddressesFromElsewhere) {
  EXPECT_EQ(error_of(plan_of(kSmall, {"--cluster-listen=x:1"})),
            "--cluster-listen: cluster.listen is set by host, port and data_port of c.yaml");
  EXPECT_NE(error_of(plan_of(kSmall, {}, {{"TROUPE_CLUSTER_ROUTER", "x:1"}})), "no error");
}

TEST(ClusterPlan, RefusesAPortGivenTwice) {
  EXPECT_NE(error_of(plan_of(kSmall + "  - {role: prefill, port: 7400}\n")).find("port 7400 is given twice"),
            std::string::npos);
}

TEST(ClusterPlan, RefusesUnknownOptionsAndThoseOfAnotherRole) {
  EXPECT_EQ(error_of(plan_of("options: {modle: a}\n" + kSmall.substr(kSmall.find("processes")))),
            "c.yaml:1: unknown key modle; did you mean model?");
  EXPECT_EQ(error_of(plan_of(kSmall + "  - {role: prefill, options: {http: {port: 1}}}\n")),
            "c.yaml:6: http.port: prefill does not use it (gateway do)");
  EXPECT_NE(error_of(plan_of(kSmall, {"stray"})), "no error");
}

TEST(ClusterPlan, TheDeliveredFileIsGood) {
  const auto root = read_yaml("deploy/cluster.yaml");
  ASSERT_TRUE(root) << to_string(root.error());
  const auto file = parse_cluster_file(*root, "deploy/cluster.yaml");
  ASSERT_TRUE(file) << to_string(file.error());
  const auto plan = plan_cluster(*file, {}, {}, [](const std::string&) -> Expected<std::uint16_t> {
    return fail(Errc::internal, "no port is left to pick");
  });
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_EQ(plan->processes.size(), 4U);
  EXPECT_EQ(plan->urls, std::vector<std::string>{"http://127.0.0.1:8080/v1"});
}

TEST(FreePortPicker, NeverGivesAPortTwice) {
  const PortPicker pick = free_port_picker();
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 50; ++i) {
    const auto port = pick("127.0.0.1");
    ASSERT_TRUE(port) << to_string(port.error());
    EXPECT_TRUE(ports.insert(*port).second);
  }
  EXPECT_FALSE(pick("no.such.host.invalid"));
}

}  // namespace
}  // namespace troupe::cli
