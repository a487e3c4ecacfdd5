// `troupe simulate` as a person runs it, on its own small trace.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "services/cli/command.hpp"
#include "services/router/policies/policy.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = 0;
  std::string out, err;
};

Ran simulate(Arguments arguments) {
  std::ostringstream out, err;
  Io io{out, err, 0, {}};
  const int code = simulate_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

TEST(SimulateCommand, HelpNamesItsFlagsAndEveryPolicy) {
  const Ran ran = simulate({"--help"});
  EXPECT_EQ(ran.code, ok);
  for (const char* part : {"--trace", "--lose-events", "--kill", "--speed", "--svg"})
    EXPECT_NE(ran.out.find(part), std::string::npos) << part;
  for (const auto& entry : router::builtin_router_policies())
    EXPECT_NE(ran.out.find(entry.name), std::string::npos) << entry.name;
}

TEST(SimulateCommand, WrongFlagsAreBadInput) {
  for (const Arguments& wrong : {Arguments{"--policy", "nonsense"},
                                 {"--workers", "0"},
                                 {"--workers", "1001"},
                                 {"--load", "fast"},
                                 {"--load", "1,,2"},
                                 {"--trace", "/nowhere"},
                                 {"--first-token-slo", "5 apples"},
                                 {"--lose-events", "2"},
                                 {"extra"}}) {
    const Ran ran = simulate(wrong);
    EXPECT_EQ(ran.code, bad_input) << wrong.front();
    EXPECT_FALSE(ran.err.empty());
  }
}

TEST(SimulateCommand, PrintsARowAndABarForEveryPolicyAndLoad) {
  const Ran ran = simulate({"--policy", "all", "--load", "0.3,0.6", "--workers", "3"});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("TTFT p50"), std::string::npos);
  for (const auto& entry : router::builtin_router_policies()) {
    std::size_t rows = 0;
    for (std::size_t at = ran.out.find(entry.name); at != std::string::npos;
         at = ran.out.find(entry.name, at + 1))
      ++rows;
    EXPECT_EQ(rows, 4u) << entry.name << "\n" << ran.out;
  }
  EXPECT_NE(ran.out.find("oracle"), std::string::npos);
}

TEST(SimulateCommand, JsonGoesToStandardOutputAndCurvesToAFile) {
  const auto svg =
      std::filesystem::temp_directory_path() / ("simulate_" + std::to_string(::getpid()) + ".svg");
  const Ran ran = simulate({"--policy", "predicted_ttft,least_loaded", "--kill", "1", "--lose-events", "0.1",
                            "--json", "-", "--svg", svg.string()});
  EXPECT_EQ(ran.code, ok) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0].at("policy"), "predicted_ttft");
  EXPECT_EQ(json[0].at("finished"), json[0].at("requests"));
  EXPECT_GT(json[0].at("hit_ratio"), json[1].at("hit_ratio"));
  std::ifstream in(svg);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_TRUE(text.starts_with("<svg"));
  std::filesystem::remove(svg);
}

TEST(SimulateCommand, OutcomesAreALineForEachRequest) {
  const auto file =
      std::filesystem::temp_directory_path() / ("outcomes_" + std::to_string(::getpid()) + ".jsonl");
  const Ran ran = simulate({"--policy", "least_loaded,random", "--requests", "50", "--workers", "3", "--json",
                            "-", "--outcomes", file.string()});
  EXPECT_EQ(ran.code, ok) << ran.err;
  std::ifstream in(file);
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json.at("policy"), lines < 50 ? "least_loaded" : "random");
    EXPECT_LT(json.at("worker"), 3);
    EXPECT_GT(json.at("first_token_s"), 0);
  }
  EXPECT_EQ(lines, 100u);
  std::filesystem::remove(file);
}

TEST(SimulateCommand, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_NE(simulate({"--svg", "/nowhere/at/all.svg"}).code, ok);
  EXPECT_NE(simulate({"--outcomes", "/nowhere/at/all.jsonl"}).code, ok);
}

}  // namespace
}  // namespace troupe::cli
