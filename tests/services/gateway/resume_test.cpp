// A stream that its client takes up again, at the same gateway or at another, and requests that come twice:
// two real edges that share a directory, each in front of a cluster that computes the same tokens.
#include "services/gateway/resume_target.hpp"
#include "tests/services/gateway/edge_fixture.hpp"
#include "tests/services/gateway/script_directory.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

/// Answers that depend on prompt, seed and choice alone, as a cluster's do. `cached` is what the schedule
/// makes of it.
FakeDispatcher::Script computed(std::uint32_t cached, std::size_t batch) {
  return [cached, batch](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    answer.cached_tokens = cached;
    answer.batch = batch;
    for (std::uint32_t choice = 0; choice < job.choices; ++choice) {
      std::string text;
      std::uint64_t state = job.sampling.seed + choice * 7919 + job.prompt.size();
      for (int i = 0; i < 20 + static_cast<int>(state % 13); ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        text += i % 5 == 4 ? "\xc3\xa9" : std::string(1, static_cast<char>('a' + (state >> 33) % 26));
      }
      auto tokens = byte_tokens(text);
      tokens.push_back({job.stop_tokens.back(), -0.25f, {}});
      answer.choices.push_back(std::move(tokens));
    }
    return answer;
  };
}

class Resume : public EdgeTest {
 protected:
  struct Gateway {
    std::shared_ptr<gateway::RequestStore> store;
    FakeDispatcher dispatcher;
    metrics::Registry registry;
    std::unique_ptr<gateway::Edge> edge;
  };

  void SetUp() override {
    start_gateway(first_, 3, 1);
    start_gateway(second_, 11, 4);  // other timing, other cache
  }
  void start_gateway(Gateway& gateway, std::uint32_t cached, std::size_t batch) {
    gateway.store = std::make_shared<gateway::RequestStore>(gateway::RequestStoreOptions{}, clock_,
                                                            std::make_unique<ScriptDirectory>(redis_),
                                                            gateway::RecordMetrics(gateway.registry));
    gateway.dispatcher.set_models({{"small", ModelId{1, 7}, kContext, 1}});
    gateway.dispatcher.set_script(computed(cached, batch));
    gateway::EdgeOptions options;
    options.requests = gateway.store;
    gateway::ModelTable table;
    ASSERT_TRUE(table.add({"small", small_tokenizer(), *ChatTemplate::parse(kSmallTemplate)}));
    auto edge =
        gateway::Edge::start(std::move(options), std::move(table), gateway.dispatcher, gateway.registry);
    ASSERT_TRUE(edge);
    gateway.edge = std::move(*edge);
  }
  static Answer post(const Gateway& gateway, const json& body, const std::string& headers = {},
                     std::string_view path = "/v1/chat/completions") {
    return HttpClient(gateway.edge->port()).call("POST", path, body.dump(), headers);
  }
  static Answer events_of(const Gateway& gateway, const std::string& id, const std::string& query,
                          const std::string& headers = {}) {
    return HttpClient(gateway.edge->port())
        .call("GET", "/v1/requests/" + id + "/events" + query, {}, headers);
  }
  static std::string code_of(const Answer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    return body.is_discarded() ? answer.body : body["error"]["code"].get<std::string>();
  }
  static json streamed(json body = chat_body()) {
    body["stream"] = true;
    return body;
  }
  /// Where event `number` begins; npos: there is none.
  static std::size_t place_of(const std::string& body, int number) {
    const std::string line = "id: " + std::to_string(number) + "\n";
    return body.starts_with(line)                        ? 0
           : body.find("\n" + line) == std::string::npos ? std::string::npos
                                                         : body.find("\n" + line) + 1;
  }

  SteadyClock clock_;
  std::shared_ptr<ScriptRedis> redis_ = std::make_shared<ScriptRedis>(clock_);
  Gateway first_, second_;
};

TEST_F(Resume, EveryEventOfAStreamCarriesItsNumber) {
  const Answer answer = post(first_, streamed());
  ASSERT_EQ(answer.status, 200);
  int number = 0;
  for (std::size_t at = 0; at < answer.body.size(); ++number) {
    const std::string line = "id: " + std::to_string(number) + "\ndata: ";
    ASSERT_EQ(answer.body.substr(at, line.size()), line);
    at = answer.body.find("\n\n", at) + 2;
  }
  EXPECT_GT(number, 15);
}

TEST_F(Resume, FromEveryEventOnBothGatewaysSendTheBytesThatFollow) {
  json body = streamed();
  body["stream_options"] = {{"include_usage", true}};
  body["logprobs"] = true;
  body["temperature"] = 0.8;  // without a seed: one is drawn
  const Answer whole = post(first_, body);
  ASSERT_EQ(whole.status, 200) << whole.body;
  const std::string id = whole.header("x-request-id");
  ASSERT_EQ(id.size(), 32u);
  int number = 0;
  for (; place_of(whole.body, number) != std::string::npos; ++number) {
    for (const Gateway* gateway : {&first_, &second_}) {
      const Answer rest = events_of(*gateway, id, "?from=" + std::to_string(number));
      ASSERT_EQ(rest.status, 200) << rest.body;
      ASSERT_TRUE(rest.whole);
      ASSERT_EQ(rest.body, whole.body.substr(place_of(whole.body, number))) << number;
      ASSERT_EQ(rest.header("x-request-id"), id);
    }
  }
  EXPECT_GT(number, 15);
  EXPECT_EQ(events_of(second_, id, "?from=" + std::to_string(number)).body, "");
  EXPECT_EQ(events_of(second_, "chatcmpl-" + id, "").body, whole.body);
  EXPECT_EQ(events_of(second_, id, "", "Last-Event-ID: 4\r\n").body,
            whole.body.substr(place_of(whole.body, 5)));
}

TEST_F(Resume, SeveralChoicesAndPromptsComeInTheirOneOrder) {
  json body = streamed(
      {{"model", "small"}, {"prompt", {"one", "two prompts"}}, {"n", 3}, {"echo", true}, {"max_tokens", 64}});
  const Answer whole = post(first_, body, {}, "/v1/completions");
  ASSERT_EQ(whole.status, 200) << whole.body;
  for (const int from : {0, 5, 30})
    EXPECT_EQ(events_of(second_, whole.header("x-request-id"), "?from=" + std::to_string(from)).body,
              whole.body.substr(place_of(whole.body, from)));
}

TEST_F(Resume, AStreamThatRunsIsJoinedAndComputedOnce) {
  first_.dispatcher.set_manual();
  HttpClient client(first_.edge->port());
  client.request("POST", "/v1/chat/completions", streamed().dump());
  const OpenJob open = first_.dispatcher.next_job();
  ASSERT_TRUE(open.sink);
  open.sink->on_start({0, {}});
  open.sink->on_tokens(0, byte_tokens("abc"), FinishReason::none);
  ASSERT_TRUE(client.wait_for("\"c\""));
  const std::string head = client.received();
  const std::string id = head.substr(head.find("x-request-id: ") + 14, 32);
  HttpClient second(first_.edge->port());
  second.request("GET", "/v1/requests/" + id + "/events?from=2");
  ASSERT_TRUE(second.wait_for("id: 3\n"));
  EXPECT_EQ(second.received().find("id: 1\n"), std::string::npos);
  client.close();  // who goes first takes nothing from who stays
  open.sink->on_tokens(0, byte_tokens("d"), FinishReason::none);
  ASSERT_TRUE(second.wait_for("\"d\""));
  auto last = byte_tokens("e");
  open.sink->on_tokens(0, last, FinishReason::length);
  open.sink->on_done();
  EXPECT_TRUE(second.read().whole);
  EXPECT_EQ(first_.dispatcher.seen().size(), 1u);
}

TEST_F(Resume, ARepeatedRequestGetsTheSameAnswerAtBothGateways) {
  for (const bool stream : {false, true}) {
    json body = stream ? streamed() : chat_body();
    body["temperature"] = 1.0;
    if (stream) body["stream_options"] = {{"include_usage", true}};
    const std::string key = std::string("Idempotency-Key: key-") + (stream ? "s" : "w") + "\r\n";
    const Answer whole = post(first_, body, key);
    ASSERT_EQ(whole.status, 200) << whole.body;
    for (const Gateway* gateway : {&first_, &second_, &second_}) {
      const Answer again = post(*gateway, body, key);
      EXPECT_EQ(again.status, 200);
      EXPECT_EQ(again.body, whole.body);
      EXPECT_EQ(again.header("x-request-id"), whole.header("x-request-id"));
    }
    EXPECT_NE(post(second_, body).body, whole.body) << "without the key it is another request";
  }
}

TEST_F(Resume, AKeyWithAnotherRequestIsRefusedAndBelongsToItsOwner) {
  const std::string key = "Idempotency-Key: k\r\n";
  const Answer first = post(first_, chat_body("Hi"), key);
  for (const Gateway* gateway : {&first_, &second_}) {
    const Answer other = post(*gateway, chat_body("Ho"), key);
    EXPECT_EQ(other.status, 422);
    EXPECT_EQ(code_of(other), "idempotency_mismatch");
    const Answer stranger = post(*gateway, chat_body("Ho"), key + "Authorization: Bearer b\r\n");
    EXPECT_EQ(stranger.status, 200);
  }
  EXPECT_EQ(post(first_, chat_body(), "Idempotency-Key: " + std::string(256, 'k') + "\r\n").status, 400);
}

TEST_F(Resume, TwoAtOnceUnderOneKeyAreComputedOnce) {
  first_.dispatcher.set_manual();
  const std::string key = "Idempotency-Key: twice\r\n";
  HttpClient one(first_.edge->port()), two(first_.edge->port());
  one.request("POST", "/v1/chat/completions", streamed().dump(), key);
  const OpenJob open = first_.dispatcher.next_job();
  ASSERT_TRUE(open.sink);
  open.sink->on_start({2, {}});
  open.sink->on_tokens(0, byte_tokens("abc"), FinishReason::none);
  two.request("POST", "/v1/chat/completions", streamed().dump(), key);
  ASSERT_TRUE(two.wait_for("\"c\""));
  one.close();
  open.sink->on_tokens(0, byte_tokens("d"), FinishReason::length);
  open.sink->on_done();
  EXPECT_TRUE(two.read().whole);
  EXPECT_EQ(first_.dispatcher.seen().size(), 1u);
}

TEST_F(Resume, TheFirstByteWaitsForTheRecordAndTheTokensDoNot) {
  redis_->holds = true;
  first_.dispatcher.set_manual();
  HttpClient client(first_.edge->port());
  client.request("POST", "/v1/chat/completions", streamed().dump());
  const OpenJob open = first_.dispatcher.next_job();  // it computes meanwhile
  ASSERT_TRUE(open.sink);
  open.sink->on_start({0, {}});
  open.sink->on_tokens(0, byte_tokens("abc"), FinishReason::length);
  open.sink->on_done();
  EXPECT_EQ(HttpClient(first_.edge->port()).call("GET", "/healthz").status, 200);
  EXPECT_EQ(client.received(), "");
  redis_->let_go();
  EXPECT_TRUE(client.read().whole);
}

TEST_F(Resume, ARefusedStreamLeavesNoRecordAndABrokenOneDoes) {
  const auto refuse = [](std::optional<Error> ScriptedAnswer::*when) {
    return [when](const gateway::GenerateJob&) {
      ScriptedAnswer answer;
      answer.choices.assign(1, byte_tokens("ab"));
      answer.*when = Error{Errc::queue_full, "busy"};
      return answer;
    };
  };
  for (const auto when : {&ScriptedAnswer::error_at_start, &ScriptedAnswer::error_before_tokens}) {
    first_.dispatcher.set_script(refuse(when));
    for (const bool slow : {false, true}) {  // the record is still being written when the refusal comes
      redis_->holds = slow;
      HttpClient client(first_.edge->port());
      client.request("POST", "/v1/chat/completions", streamed().dump());
      if (slow) {
        while (redis_->waiting() == 0) std::this_thread::yield();
        redis_->let_go();
      }
      const Answer refused = client.read();
      EXPECT_EQ(refused.status, 429);
      const std::string id = refused.header("x-request-id");
      for (const Gateway* gateway : {&first_, &second_}) {
        Answer asked = events_of(*gateway, id, "");
        for (int i = 0; i < 1000 && asked.status != 404; ++i) asked = events_of(*gateway, id, "");
        EXPECT_EQ(code_of(asked), "request_unknown");
      }
    }
  }
  first_.dispatcher.set_script(refuse(&ScriptedAnswer::error_after_tokens));
  const std::string id = post(first_, streamed()).header("x-request-id");
  EXPECT_EQ(events_of(second_, id, "").status, 200);
}

TEST_F(Resume, AnEdgeThatEndsWhileItsDirectoryIsAskedTouchesNothingOfIts) {
  redis_->holds = true;
  HttpClient keyed(first_.edge->port()), plain(first_.edge->port()), resumed(first_.edge->port());
  keyed.request("POST", "/v1/chat/completions", chat_body().dump(), "Idempotency-Key: k\r\n");
  plain.request("POST", "/v1/chat/completions", streamed().dump());
  resumed.request("GET", "/v1/requests/" + std::string(32, 'a') + "/events");
  while (redis_->waiting() < 4)
    std::this_thread::yield();  // two writes of the key, one of the stream, one question
  first_.edge.reset();
  EXPECT_EQ(redis_->waiting(), 0u);
}

TEST_F(Resume, WithoutItsDirectoryAGatewayAnswersAndSaysSoInItsMetrics) {
  redis_->away = true;
  const Answer whole = post(first_, streamed());
  EXPECT_EQ(whole.status, 200);
  const std::string id = whole.header("x-request-id");
  EXPECT_EQ(events_of(first_, id, "?from=0").body, whole.body);
  EXPECT_EQ(code_of(events_of(second_, id, "?from=0")), "request_unknown");
  const std::string metrics = HttpClient(first_.edge->port()).call("GET", "/metrics").body;
  EXPECT_NE(metrics.find("\ntroupe_gateway_directory_reachable 0"), std::string::npos);
  EXPECT_NE(metrics.find("\ntroupe_gateway_directory_failures_total 1"), std::string::npos);
}

TEST_F(Resume, WhatCannotBeResumedIsRefusedWithAStableCode) {
  const std::string none(32, 'a');
  EXPECT_EQ(code_of(events_of(first_, none, "")), "request_unknown");
  EXPECT_EQ(events_of(first_, none, "").status, 404);
  EXPECT_EQ(events_of(first_, "nothex", "").status, 400);
  EXPECT_EQ(events_of(first_, none, "?from=x").status, 400);
  EXPECT_EQ(HttpClient(first_.edge->port()).call("POST", "/v1/requests/" + none + "/events", "{}").status,
            405);
  const Answer owned = post(first_, streamed(), "Authorization: Bearer a\r\n");
  const std::string id = owned.header("x-request-id");
  EXPECT_EQ(code_of(events_of(second_, id, "", "Authorization: Bearer b\r\n")), "request_unknown");
  EXPECT_EQ(events_of(second_, id, "", "Authorization: Bearer a\r\n").body, owned.body);
  second_.dispatcher.set_models({{"small", ModelId{2, 7}, kContext, 1}});
  const Answer outdated = events_of(second_, id, "", "Authorization: Bearer a\r\n");
  EXPECT_EQ(outdated.status, 409);
  EXPECT_EQ(code_of(outdated), "record_outdated");
  const Answer whole = post(first_, chat_body(), "Idempotency-Key: w\r\n");
  EXPECT_EQ(events_of(first_, whole.header("x-request-id"), "").status, 400) << "it was no stream";
}

TEST_F(Resume, WithoutAStoreStreamsCarryNoNumbers) {
  dispatcher_.set_models({{"small", ModelId{1, 7}, kContext, 1}});
  answer_with("Hello");
  start();
  const Answer answer = HttpClient(port()).call("POST", "/v1/chat/completions", streamed().dump());
  EXPECT_EQ(answer.body.find("id: "), std::string::npos);
  EXPECT_EQ(
      HttpClient(port()).call("GET", "/v1/requests/" + answer.header("x-request-id") + "/events").status,
      404);
}

TEST(ResumeTarget, ReadsTheQueryAmongOthers) {
  gateway::Request request;
  request.path = "/v1/requests/" + std::string(32, 'b') + "/events";
  request.query = "x=1&from=17&y=2";
  const auto target = gateway::resume_target(request);
  EXPECT_TRUE(target.matches);
  EXPECT_EQ(target.error, "");
  EXPECT_EQ(target.from, 17u);
  request.path = "/v1/requests/events";
  EXPECT_FALSE(gateway::resume_target(request).matches);
}

}  // namespace
}  // namespace troupe::test
