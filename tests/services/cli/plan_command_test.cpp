// `troupe plan` as a person runs it.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran plan(Arguments arguments) {
  std::ostringstream out, err;
  Io io{out, err, 0, {}};
  const int code = plan_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

const Arguments kSmall{"--rate", "4", "--span", "30s", "--prompt-tokens", "1000", "--answer-tokens", "50"};

Arguments small(const Arguments& more) {
  Arguments all = kSmall;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(PlanCommand, PrintsWhatWasTriedAndTheAnswer) {
  const Ran ran = plan(small({"--token-bytes", "128KiB"}));
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("TTFT p50"), std::string::npos);
  EXPECT_NE(ran.out.find("99 % of the requests with their first token within 5s and 100ms between tokens ("),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("memory of a worker: "), std::string::npos);
  EXPECT_NE(ran.out.find("56.00 GiB for all 7168"), std::string::npos) << ran.out;  // 8 MiB a page
}

TEST(PlanCommand, EndsWithOneWhenNoNumberDoes) {
  const Ran ran = plan(small({"--slo-first-token", "1ms", "--workers-max", "2"}));
  EXPECT_EQ(ran.code, failed);
  EXPECT_NE(ran.out.find("no number of workers up to 2 gives"), std::string::npos) << ran.out;
}

TEST(PlanCommand, TighterObjectivesNeedNoFewerWorkers) {
  const auto workers = [](const Arguments& more) {
    const Ran ran = plan(small(more));
    EXPECT_EQ(ran.code, ok) << ran.err;
    return nlohmann::json::parse(ran.out).at("workers").get<int>();
  };
  const int loose = workers({"--json", "-", "--slo-first-token", "20s", "--share", "0.8"});
  EXPECT_GT(workers({"--json", "-", "--slo-first-token", "250ms", "--step", "8000,100,30,0.065"}), loose);
}

TEST(PlanCommand, ATraceKeepsItsTimesUnlessARateIsGiven) {
  const auto file =
      std::filesystem::temp_directory_path() / ("plan_" + std::to_string(::getpid()) + ".jsonl");
  {
    std::ofstream out(file);
    for (int i = 0; i < 40; ++i)
      out << R"({"timestamp": )" << i * 1000
          << R"(, "input_length": 2000, "output_length": 20, "hash_ids": [)" << 4 * i << ',' << 4 * i + 1
          << ',' << 4 * i + 2 << ',' << 4 * i + 3 << "]}\n";
  }
  const Arguments asked{"--trace", file.string(), "--json", "-", "--slo-first-token", "1s"};
  const Ran recorded = plan(asked);
  Arguments faster = asked;
  faster.insert(faster.end(), {"--rate", "50"});
  const Ran hurried = plan(faster);
  Arguments absurd = asked;
  absurd.insert(absurd.end(), {"--rate", "20000"});
  EXPECT_EQ(plan(absurd).code, bad_input);
  std::filesystem::remove(file);
  ASSERT_EQ(recorded.code, ok) << recorded.err;
  ASSERT_EQ(hurried.code, ok) << hurried.err;
  EXPECT_EQ(nlohmann::json::parse(recorded.out).at("workers"), 1);
  EXPECT_GT(nlohmann::json::parse(hurried.out).at("workers"), 1);
}

TEST(PlanCommand, WrongFlagsAreBadInput) {
  for (const Arguments& wrong : {Arguments{"--step", "1,2"},
                                 {"--step", "1,2,x,4"},
                                 {"--step", "0,0,0,1"},
                                 {"--policy", "nonsense"},
                                 {"--step", "1,2,3,4", "--from", "http://127.0.0.1:1"},
                                 {"--kv-bytes", "1GiB"},
                                 {"--token-bytes", "1KiB", "--model", "smollm2-135m-instruct"},
                                 {"--token-bytes", "1MiB", "--kv-bytes", "1KiB"},
                                 {"--rate", "100000", "--span", "1h"},
                                 {"--share", "2"},
                                 {"--rate", "0.0000001"},
                                 {"--trace", "/nowhere"},
                                 {"--rte", "1"},
                                 {"stray"}}) {
    const Ran ran = plan(wrong);
    EXPECT_EQ(ran.code, bad_input) << wrong.front() << ran.out;
    EXPECT_FALSE(ran.err.empty());
  }
}

TEST(PlanCommand, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(plan(small({"--json", "/nowhere/at/all.json"})).code, failed);
}

}  // namespace
}  // namespace troupe::cli
