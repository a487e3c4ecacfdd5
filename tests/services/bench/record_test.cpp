#include "services/bench/record.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::load {
namespace {

using namespace std::chrono_literals;

TEST(Record, OnlyEventsWithTextAreTokens) {
  Record r;
  EXPECT_TRUE(read_event(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", 1ms, r));
  EXPECT_TRUE(read_event(R"({"choices":[{"delta":{"content":"a"}}]})", 2ms, r));
  EXPECT_TRUE(read_event(R"({"choices":[{"text":"b"}]})", 3ms, r));
  EXPECT_TRUE(read_event(R"({"choices":[{"delta":{"reasoning_content":"c"}}]})", 4ms, r));
  EXPECT_TRUE(read_event(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", 5ms, r));
  EXPECT_TRUE(read_event("[DONE]", 6ms, r));
  EXPECT_EQ(r.token_times, (std::vector<Duration>{2ms, 3ms, 4ms}));
  EXPECT_EQ(r.gaps(), (std::vector<Duration>{1ms, 1ms}));
  read_end({200, {}, {}}, 7ms, r);
  EXPECT_TRUE(r.good());
  EXPECT_EQ(r.output_tokens, 3u);
}

TEST(Record, TheServersCountWinsOverEvents) {
  Record r;
  (void)read_event(R"({"choices":[{"delta":{"content":"two tokens"}}]})", 2ms, r);
  (void)read_event(
      R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}})",
      3ms, r);
  read_end({200, {}, {}}, 4ms, r);
  EXPECT_EQ(r.prompt_tokens, 9u);
  EXPECT_EQ(r.output_tokens, 2u);
  EXPECT_EQ(r.cached_tokens, 4u);
}

TEST(Record, EveryBadEndHasAKind) {
  const auto kind = [](const StreamEnd& end, const char* event = nullptr) {
    Record r;
    if (event != nullptr) (void)read_event(event, 1ms, r);
    read_end(end, 2ms, r);
    return r.error;
  };
  EXPECT_EQ(kind({429, {}, "{}"}), "http_429");
  EXPECT_EQ(kind({0, Error{Errc::peer_lost, ""}, {}}), "peer_lost");
  EXPECT_EQ(kind({200, Error{Errc::deadline_exceeded, ""}, {}}), "deadline_exceeded");
  EXPECT_EQ(kind({200, {}, "<html>"}), "no_stream");
  EXPECT_EQ(kind({200, {}, {}}, R"({"error":{"message":"x"}})"), "error_event");
}

TEST(Record, WhatIsNoEventIsRefused) {
  Record r;
  for (const char* bad : {"", "nonsense", "[1]", "7"}) EXPECT_FALSE(read_event(bad, 1ms, r)) << bad;
  for (const char* odd :
       {"{}", R"({"choices":5})", R"({"choices":[5]})", R"({"choices":[{"delta":[]}],"usage":3})",
        R"({"usage":{"prompt_tokens":-1,"prompt_tokens_details":7}})"})
    EXPECT_TRUE(read_event(odd, 1ms, r)) << odd;
  EXPECT_TRUE(r.token_times.empty());
  EXPECT_EQ(r.prompt_tokens, 0u);
}

TEST(RequestBody, AsksForAStreamWithUsage) {
  const Url url = *parse_url("http://h:1/v1");
  RequestSettings settings;
  settings.model = "m";
  settings.api_key = "k";
  settings.ignore_eos = true;
  const HttpRequest request =
      make_http_request(url, settings, {{{"user", "hi"}}, 7, R"({"top_p":0.5,"seed":3})"}, 11);
  EXPECT_EQ(request.path, "/v1/chat/completions");
  const auto body = nlohmann::json::parse(request.body);
  EXPECT_EQ(body["messages"][0]["content"], "hi");
  EXPECT_EQ(body["max_tokens"], 7);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_EQ(body["top_p"], 0.5);
  EXPECT_EQ(body["seed"], 3);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(request.headers.back().second, "Bearer k");
  settings.completions = true;
  const HttpRequest plain = make_http_request(url, settings, {{{"user", "a"}, {"user", "b"}}, 7, {}}, 11);
  EXPECT_EQ(plain.path, "/v1/completions");
  EXPECT_EQ(nlohmann::json::parse(plain.body)["prompt"], "a\nb");
  EXPECT_EQ(nlohmann::json::parse(plain.body)["seed"], 11);
}

}  // namespace
}  // namespace troupe::load
