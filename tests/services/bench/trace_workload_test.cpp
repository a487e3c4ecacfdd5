#include "services/bench/trace_workload.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace troupe::load {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kMooncake =
    R"({"timestamp": 1000, "input_length": 700, "output_length": 20, "hash_ids": [0, 1]})"
    "\n"
    R"({"timestamp": 1250, "input_length": 512, "output_length": 3, "hash_ids": [0]})"
    "\n\n"
    R"({"timestamp": 3000, "input_length": 600, "output_length": 9, "hash_ids": [2, 1]})";

std::string shared_file(const char* path) {
  const char* folder = std::getenv("TROUPE_SHARED");
  return std::string(folder != nullptr ? folder : "../shared") + "/data/" + path;
}

TEST(Trace, KeepsArrivalsFromTheFirstAndRepeatsAfterTheLast) {
  const auto trace = parse_trace(kMooncake, {});
  ASSERT_TRUE(trace) << trace.error().detail;
  EXPECT_EQ((*trace)->size(), 3u);
  EXPECT_EQ((*trace)->recorded_arrival(0), Duration(0ms));
  EXPECT_EQ((*trace)->recorded_arrival(1), Duration(250ms));
  EXPECT_EQ((*trace)->recorded_arrival(2), Duration(2s));
  EXPECT_EQ((*trace)->recorded_arrival(4), Duration(3s + 250ms));
}

TEST(Trace, EqualBlocksAreEqualTextAndScaleShortensBoth) {
  WorkloadOptions options;
  options.scale = 0.125;
  const auto trace = parse_trace(kMooncake, options);
  ASSERT_TRUE(trace);
  const PlannedRequest first = (*trace)->request(0), second = (*trace)->request(1),
                       third = (*trace)->request(2);
  const std::string& whole_block = second.messages.at(0).content;
  EXPECT_TRUE(first.messages.at(0).content.starts_with(whole_block));
  EXPECT_FALSE(third.messages.at(0).content.starts_with(whole_block.substr(0, 20)));
  EXPECT_EQ(first.max_tokens, 3u);  // 20 / 8, rounded
  EXPECT_EQ(second.max_tokens, 1u);
  EXPECT_LT(whole_block.size(), 64u * 9);
  EXPECT_GT(whole_block.size(), 64u * 3);
}

TEST(Trace, AnswersHaveAScaleOfTheirOwn) {
  WorkloadOptions options;
  options.scale = 0.125;
  const auto as_prompts = parse_trace(kMooncake, options);
  options.answer_scale = 0.5;
  const auto longer = parse_trace(kMooncake, options);
  ASSERT_TRUE(as_prompts && longer);
  EXPECT_EQ((*longer)->request(0).max_tokens, 10u);
  EXPECT_EQ((*longer)->request(0).messages.at(0).content, (*as_prompts)->request(0).messages.at(0).content);
}

TEST(Trace, NamesTheLineThatBreaksTheFormat) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"turns\": [\"a\"]}\nnonsense", "line 2"},
      {"{\"timestamp\": 1}", "line 1"},
      {"{\"turns\": []}", "line 1"},
      {"{\"turns\": [\"a\"]}\n{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": "
       "[1]}",
       "line 2"},
      {"{\"timestamp\": 0, \"input_length\": 513, \"output_length\": 1, \"hash_ids\": [1]}", "hash id"},
      {"{\"timestamp\": 0, \"input_length\": 99999999999, \"output_length\": 1, \"hash_ids\": [1]}",
       "lengths"},
      {"{\"timestamp\": 0, \"input_length\": -1, \"output_length\": 1, \"hash_ids\": [1]}", "line 1"},
      {"", "no requests"},
  };
  for (const auto& [text, expected] : cases) {
    const auto trace = parse_trace(text, {});
    ASSERT_FALSE(trace) << text;
    EXPECT_EQ(trace.error().code, Errc::file_malformed);
    EXPECT_NE(trace.error().detail.find(expected), std::string::npos) << trace.error().detail;
  }
}

TEST(Trace, AFileThatIsNotThereIsNamed) {
  WorkloadOptions options;
  EXPECT_EQ(make_trace(options).error().code, Errc::config_invalid);
  options.file = "no/such/file";
  EXPECT_EQ(make_trace(options).error().code, Errc::file_not_found);
}

TEST(Trace, ReadsTheMooncakeTracesAndSpecBench) {
  WorkloadOptions options;
  options.file = shared_file("traces/mooncake_conversation.jsonl");
  if (!std::filesystem::exists(options.file)) GTEST_SKIP() << "no shared data at " << options.file;
  options.scale = 1.0 / 64;
  const auto trace = make_trace(options);
  ASSERT_TRUE(trace) << trace.error().detail;
  EXPECT_EQ((*trace)->size(), 12'031u);
  options.file = shared_file("prompts/spec_bench.jsonl");
  const auto prompts = make_trace(options);
  ASSERT_TRUE(prompts) << prompts.error().detail;
  EXPECT_EQ((*prompts)->size(), 480u);
  EXPECT_EQ((*prompts)->recorded_arrival(0), std::nullopt);
  EXPECT_TRUE((*prompts)->request(0).messages.at(0).content.starts_with("Compose an engaging travel blog"));
}

TEST(BatchFile, TakesMessagesAndKeepsTheBodysOtherMembers) {
  const auto batch = parse_batch(
      R"({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "stream": false,)"
      R"( "top_p": 0.5, "max_tokens": 9, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}})",
      {});
  ASSERT_TRUE(batch) << batch.error().detail;
  const PlannedRequest request = (*batch)->request(0);
  EXPECT_EQ(request.messages, (std::vector<Message>{{"system", "s"}, {"user", "u"}}));
  EXPECT_EQ(request.max_tokens, 9u);
  EXPECT_EQ(request.extra, R"({"top_p":0.5})");
}

TEST(BatchFile, RefusesOtherUrlsAndBodiesWithoutText) {
  for (const char* text :
       {R"({"url": "/v1/embeddings", "body": {"input": "x"}})", R"({"url": "/v1/chat/completions"})",
        R"({"url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": [1]}]}})", "[]"})
    EXPECT_EQ(parse_batch(text, {}).error().code, Errc::file_malformed) << text;
}

}  // namespace
}  // namespace troupe::load
