// Cancel, drain and bounded queues, end to end over sockets.
#include <future>
#include <random>

#include "services/gateway/text_pool.hpp"
#include "tests/support/key_folder.hpp"
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

class EdgeLife : public EdgeTest {
 protected:
  static std::string streaming_chat() {
    json body = chat_body();
    body["stream"] = true;
    return body.dump();
  }
};

TEST_F(EdgeLife, AClientThatLeavesCancelsItsRequest) {
  start();
  dispatcher_.set_manual();
  for (const bool streaming : {false, true}) {
    HttpClient client(port());
    client.request("POST", "/v1/chat/completions", streaming ? streaming_chat() : chat_body().dump());
    const OpenJob open = dispatcher_.next_job();
    ASSERT_TRUE(open.sink);
    open.sink->on_start({0, {}});
    open.sink->on_tokens(0, byte_tokens("x"), FinishReason::none);
    if (streaming) {
      ASSERT_TRUE(client.wait_for("\"x\""));
    }
    client.close();
    EXPECT_TRUE(dispatcher_.wait_for_cancels(streaming ? 2 : 1));
    open.sink->on_tokens(0, byte_tokens("late"), FinishReason::stop);  // harmless
    open.sink->on_done();
  }
}

TEST_F(EdgeLife, AFinishedRequestIsNotCancelled) {
  start();
  {
    HttpClient client(port());
    EXPECT_EQ(client.call("POST", "/v1/chat/completions", chat_body().dump()).status, 200);
  }
  EXPECT_EQ(HttpClient(port()).call("GET", "/healthz").status, 200);
  EXPECT_EQ(dispatcher_.cancels(), 0u);
}

TEST_F(EdgeLife, OneStoppedChoiceLetsTheOthersFinish) {
  start();
  dispatcher_.set_manual();
  json body = chat_body();
  body["n"] = 2;
  body["stop"] = "X";
  HttpClient client(port());
  client.request("POST", "/v1/chat/completions", body.dump());
  const OpenJob open = dispatcher_.next_job();
  ASSERT_TRUE(open.sink);
  open.sink->on_start({0, {}});
  open.sink->on_tokens(0, byte_tokens("aXb"), FinishReason::none);
  open.sink->on_tokens(1, byte_tokens("cd"), FinishReason::none);
  open.sink->on_tokens(0, byte_tokens("more"), FinishReason::none);
  EXPECT_EQ(dispatcher_.cancels(), 0u);
  open.sink->on_tokens(1, byte_tokens("e"), FinishReason::length);
  const json answer = json::parse(client.read().body);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "a");
  EXPECT_EQ(answer["choices"][1]["message"]["content"], "cde");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 5);
  EXPECT_TRUE(dispatcher_.wait_for_cancels(1));  // choice 0 was still generating
}

TEST_F(EdgeLife, DrainFinishesStreamsAndRefusesNewWork) {
  start();
  dispatcher_.set_manual();
  HttpClient streaming(port()), kept(port());
  EXPECT_EQ(kept.call("GET", "/readyz").status, 200);
  streaming.request("POST", "/v1/chat/completions", streaming_chat());
  const OpenJob open = dispatcher_.next_job();
  ASSERT_TRUE(open.sink);
  open.sink->on_start({0, {}});
  open.sink->on_tokens(0, byte_tokens("ab"), FinishReason::none);
  ASSERT_TRUE(streaming.wait_for("\"ab\""));

  auto stopped = std::async(std::launch::async, [&] { return edge_->stop(std::chrono::seconds(20)); });
  edge_->begin_drain();
  const Answer refused = kept.call("POST", "/v1/chat/completions", chat_body().dump());
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "5");
  EXPECT_EQ(json::parse(refused.body)["error"]["code"], "draining");

  open.sink->on_tokens(0, byte_tokens("c"), FinishReason::stop);
  open.sink->on_done();
  const Answer answer = streaming.read();
  EXPECT_TRUE(answer.whole);
  EXPECT_NE(answer.body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(stopped.get());
}

TEST_F(EdgeLife, StopAtTheDeadlineCancelsWhatRuns) {
  start();
  dispatcher_.set_manual();
  HttpClient client(port());
  client.request("POST", "/v1/chat/completions", streaming_chat());
  const OpenJob open = dispatcher_.next_job();
  ASSERT_TRUE(open.sink);
  EXPECT_FALSE(edge_->stop(std::chrono::milliseconds(20)));
  EXPECT_TRUE(dispatcher_.wait_for_cancels(1));
  edge_.reset();
  open.sink->on_start({0, {}});  // a sink may outlive the edge
  open.sink->on_done();
}

TEST_F(EdgeLife, WhatIsTunedHoldsForRequestsThatCome) {
  start();
  dispatcher_.set_manual();
  const SecretFolder folder;
  const std::string audit = (folder / "audit.jsonl").string();
  const auto left = [this](HttpClient& client) {
    client.request("POST", "/v1/chat/completions", streaming_chat());
    const OpenJob open = dispatcher_.next_job();
    const auto deadline = open.job.deadline.value_or(TimePoint::max());
    open.sink->on_start({0, {}});
    open.sink->on_tokens(0, byte_tokens("a"), FinishReason::stop);
    open.sink->on_done();
    EXPECT_TRUE(client.read().whole);
    return deadline - std::chrono::steady_clock::now();
  };
  HttpClient client(port());
  EXPECT_LE(left(client), std::chrono::minutes(10));
  gateway::EdgeTuning tuning;
  tuning.request_deadline = std::chrono::hours(5);
  tuning.http.max_body_bytes = 4096;
  tuning.audit.target = audit;
  ASSERT_TRUE(edge_->tune(tuning));
  EXPECT_GT(left(client), std::chrono::hours(4));
  EXPECT_EQ(client.call("POST", "/v1/chat/completions", std::string(5000, ' ')).status, 413);
  tuning.audit.target = (folder / "no" / "where").string();
  tuning.request_deadline = std::chrono::hours(2);
  EXPECT_FALSE(edge_->tune(tuning)) << "there is no such folder";
  HttpClient next(port());
  EXPECT_LE(left(next), std::chrono::hours(2)) << "the rest is taken over";
  const auto lines = [&] {
    const std::string text = text_of_file(audit);
    return std::count(text.begin(), text.end(), '\n');
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (lines() < 2 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(lines(), 2) << "of the two requests that came when there was a file";
}

TEST_F(EdgeLife, StreamedTextEqualsTheWholeOne) {
  start();
  std::mt19937 random(3);
  for (int round = 0; round < 30; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i)
      text += std::vector<std::string>{"a", "b ", "é", "😀", "\"", "\\", "\n"}[random() % 7];
    answer_with(text, 1 + random() % 5);
    json body = chat_body();
    body["n"] = 2;
    body["stop"] = {"b a", "é\n"};
    const json whole = post_json("/v1/chat/completions", body);
    std::vector<std::string> joined(2), reasons(2);
    for (const json& chunk : stream("/v1/chat/completions", body)) {
      const json& choice = chunk["choices"][0];
      joined.at(choice["index"]) += choice["delta"].value("content", "");
      if (choice["finish_reason"].is_string()) reasons.at(choice["index"]) = choice["finish_reason"];
    }
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(joined[static_cast<std::size_t>(i)], whole["choices"][i]["message"]["content"]);
      EXPECT_EQ(reasons[static_cast<std::size_t>(i)], whole["choices"][i]["finish_reason"]);
    }
  }
}

TEST_F(EdgeLife, ManyStreamsAtOnceKeepTheirText) {
  gateway::EdgeOptions options;
  options.http.threads = 2;
  options.text_threads = 2;
  start(std::move(options));
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    std::vector<GeneratedToken> tokens;
    for (int i = 0; i < 20; ++i) {
      for (const TokenId id : job.prompt) tokens.push_back({id, 0.0f, {}});
    }
    answer.choices = {tokens};
    answer.finish = FinishReason::length;
    return answer;
  });
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      HttpClient client(port());
      const std::string prompt = "<" + std::to_string(t) + ">";
      const Answer answer = client.call(
          "POST", "/v1/completions", json({{"model", "raw"}, {"prompt", prompt}, {"stream", true}}).dump());
      std::string text, expected;
      for (const json& chunk : events(answer.body, true))
        text += chunk["choices"][0]["text"].get<std::string>();
      for (int i = 0; i < 20; ++i) expected += prompt;
      right += text == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 16);
}

TEST(TextPool, RefusesWhenItsQueueIsFull) {
  std::promise<void> running, release;
  gateway::TextPool pool(1, 2);
  ASSERT_TRUE(pool.submit([&] {
    running.set_value();
    release.get_future().wait();
  }));
  running.get_future().wait();
  std::atomic<int> done{0};
  EXPECT_TRUE(pool.submit([&] { ++done; }));
  EXPECT_TRUE(pool.submit([&] { ++done; }));
  const auto refused = pool.submit([&] { ++done; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::queue_full);
  EXPECT_EQ(pool.waiting(), 2u);
  release.set_value();
}

}  // namespace
}  // namespace troupe::test
