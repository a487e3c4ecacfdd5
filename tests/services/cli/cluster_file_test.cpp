#include "services/cli/cluster_file.hpp"

#include <gtest/gtest.h>

namespace troupe::cli {
namespace {

Expected<ClusterFile> parse(const std::string& text) {
  return parse_cluster_file(*parse_yaml(text, "c.yaml"), "c.yaml");
}

std::string error_of(const std::string& text) {
  const auto file = parse(text);
  if (file) return "no error";
  EXPECT_EQ(file.error().code, Errc::config_invalid);
  return file.error().detail;
}

const std::string kSmall = "processes:\n  - {role: router}\n  - {role: decode}\n  - {role: gateway}\n";

TEST(ClusterFile, ReadsTheSmallestCluster) {
  const auto file = parse(kSmall);
  ASSERT_TRUE(file) << to_string(file.error());
  EXPECT_EQ(file->host, "127.0.0.1");
  ASSERT_EQ(file->processes.size(), 3U);
  EXPECT_EQ(file->processes[1].name, "decode");
  EXPECT_EQ(file->processes[1].port, 0);
}

TEST(ClusterFile, MultipliesCountsAndNumbersNames) {
  const auto file = parse(
      kSmall + "  - {role: decode, count: 2}\n  - {role: prefill, name: p, port: 7000, data_port: 7001}\n");
  ASSERT_TRUE(file) << to_string(file.error());
  std::vector<std::string> names;
  for (const ProcessEntry& process : file->processes) names.push_back(process.name);
  EXPECT_EQ(names, (std::vector<std::string>{"router", "decode-0", "gateway", "decode-1", "decode-2", "p"}));
  EXPECT_EQ(file->processes[5].data_port, 7001);
}

TEST(ClusterFile, NamesFileLineFoundAndExpected) {
  EXPECT_EQ(error_of("processes:\n  - {role: rooter}\n"),
            "c.yaml:2: role: found \"rooter\", expected router, prefill, decode, draft or gateway");
  EXPECT_EQ(error_of(kSmall + "  - {role: decode, prot: 1}\n"),
            "c.yaml:5: unknown key prot; did you mean port?");
  EXPECT_EQ(error_of(kSmall + "  - {role: decode, port: 70000}\n"),
            "c.yaml:5: port: found \"70000\", expected 0..65535");
  EXPECT_EQ(error_of("process: []\n" + kSmall), "c.yaml:1: unknown key process; did you mean processes?");
  EXPECT_EQ(error_of("host: [a]\n" + kSmall), "c.yaml:1: host: expected one word");
  EXPECT_EQ(error_of("options: 3\n" + kSmall), "c.yaml:1: options: expected key: value lines");
  EXPECT_EQ(error_of("[]\n"), "c.yaml:1: expected key: value lines");
}

TEST(ClusterFile, WantsOneRouterAGatewayAndADecodeWorker) {
  EXPECT_NE(error_of("processes: [{role: decode}, {role: gateway}]\n").find("found no router"), std::string::npos);
  EXPECT_NE(error_of("processes: [{role: router}, {role: gateway}]\n").find("found no decode"),
            std::string::npos);
  EXPECT_NE(error_of("processes: [{role: router}, {role: decode}]\n").find("found no gateway"),
            std::string::npos);
  EXPECT_NE(error_of("host: x\n").find("expected a list of roles"), std::string::npos);
}

TEST(ClusterFile, RefusesPortsThatSeveralWouldShare) {
  EXPECT_NE(error_of(kSmall + "  - {role: prefill, count: 2, port: 7000}\n").find("cannot share a port"),
            std::string::npos);
  EXPECT_NE(error_of("processes: [{role: router, data_port: 1}, {role: decode}, {role: gateway}]\n")
                .find("only workers"),
            std::string::npos);
  EXPECT_NE(error_of(kSmall + "  - {role: prefill, name: decode-0}\n  - {role: decode}\n")
                .find("two processes are named decode-0"),
            std::string::npos);
  EXPECT_NE(error_of(kSmall + "  - {role: prefill, count: 100000}\n"), "no error");
}

}  // namespace
}  // namespace troupe::cli
