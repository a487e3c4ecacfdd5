#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <nlohmann/json.hpp>

#include "services/cli/bench_settings.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran bench(Arguments arguments) {
  std::ostringstream out, err;
  Io io{out, err, 0, {}};
  arguments.insert(arguments.begin(), "bench");
  const int code = run_command_line(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

ScriptedAnswer answer() {
  return {{stream_header() + event_chunk(R"({"choices":[{"delta":{"content":"a"}}]})") +
           event_chunk(R"({"choices":[{"delta":{"content":"b"}}]})") +
           event_chunk(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}})") +
           event_chunk("[DONE]") + last_chunk()}};
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

TEST(BenchCommand, HelpNamesWorkloadsAndFlags) {
  const Ran ran = bench({"--help"});
  EXPECT_EQ(ran.code, ok);
  for (const char* part : {"shared-prefix", "batch-file", "--slo-ttft", "--vs", "--max-streams"})
    EXPECT_NE(ran.out.find(part), std::string::npos) << part;
}

TEST(BenchCommand, WrongFlagsAreBadInput) {
  for (const Arguments& wrong : {Arguments{"--workload", "chatt"},
                                 {"--url", "ftp://x"},
                                 {"extra"},
                                 {"--requests", "0"},
                                 {"--speed", "2"},
                                 {"--vs", "http://h/v1", "--requests", "0", "--duration", "1s"},
                                 {"--workload", "trace"}})
    EXPECT_EQ(bench(wrong).code, bad_input) << wrong.front();
}

TEST(BenchCommand, SettingsSayClosedOrOpenLoop) {
  std::ostringstream sink;
  const Io io{sink, sink, 0, {{"OPENAI_API_KEY", "k"}}};
  const auto closed = bench_settings({"--concurrency", "3"}, io);
  ASSERT_TRUE(closed) << closed.error().detail;
  EXPECT_FALSE(closed->open_loop);
  EXPECT_EQ(closed->concurrency, 3u);
  EXPECT_EQ(closed->endpoint.settings.api_key, "k");
  EXPECT_FALSE(closed->objective.any());
  const auto open = bench_settings({"--rate", "2.5", "--max-streams", "9", "--slo-itl", "40"}, io);
  ASSERT_TRUE(open) << open.error().detail;
  EXPECT_TRUE(open->open_loop);
  EXPECT_EQ(open->concurrency, 9u);
  EXPECT_EQ(open->objective.gap_ms, 40);
}

// The server closes after each answer without saying so: the kept connection is found dead and replaced.
TEST(BenchCommand, MeasuresAndWritesFiles) {
  ScriptServer server({answer(), answer(), answer()});
  const std::string base =
      (std::filesystem::temp_directory_path() / ("bench" + std::to_string(::getpid()))).string();
  const Ran ran = bench({"--url", server.url() + "/v1", "--model", "m", "--requests", "3", "--concurrency",
                         "1", "--warmup", "0", "--json", base + ".json", "--svg", base + ".svg"});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("3 of 3 answered"), std::string::npos) << ran.out;
  const auto json = nlohmann::json::parse(read_file(base + ".json"), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["endpoints"][0]["summary"]["output_tokens"], 6);
  EXPECT_EQ(json["endpoints"][0]["records"].size(), 3u);
  EXPECT_TRUE(read_file(base + ".svg").ends_with("</svg>\n"));
  for (const char* end : {".json", ".svg"}) std::filesystem::remove(base + end);
}

TEST(BenchCommand, ComparesTwoEndpoints) {
  ScriptServer first({answer(), answer()}), second({answer(), answer()});
  const Ran ran = bench({"--url", first.url(), "--vs", second.url(), "--model", "m", "--vs-model", "n",
                         "--requests", "1", "--warmup", "0", "--repeats", "2"});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("2 pairs of blocks"), std::string::npos) << ran.out;
  EXPECT_NE(first.requests().at(0).find("\"model\":\"m\""), std::string::npos);
  EXPECT_NE(second.requests().at(0).find("\"model\":\"n\""), std::string::npos);
  const auto body = [](const std::string& request) {
    auto json = nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4), nullptr, false);
    json.erase("model");
    return json;
  };
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(body(first.requests().at(i)), body(second.requests().at(i)));
  EXPECT_NE(body(first.requests().at(0)), body(first.requests().at(1)));
}

TEST(BenchCommand, ADeadEndpointIsAnErrorNotAMeasurement) {
  std::string url;
  { url = ScriptServer({}).url(); }
  const Ran ran = bench({"--url", url, "--model", "m", "--requests", "2"});
  EXPECT_EQ(ran.code, failed);
  EXPECT_NE(ran.err.find("answered no warm-up request: peer_lost"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace troupe::cli
