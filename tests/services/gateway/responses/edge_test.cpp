// /v1/responses through whole edges: two gateways that share a directory, in front of scripted clusters.
#include "services/gateway/responses/api.hpp"

#include <tuple>

#include "tests/services/gateway/edge_fixture.hpp"
#include "tests/services/gateway/script_directory.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

const std::string kUrl = "/v1/responses";

constexpr std::string_view kToolTemplate =
    "{% if tools %}T{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls %}"
    "<tool_call>{{ c.function.name }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}";

class Responses : public EdgeTest {
 protected:
  static constexpr std::uint32_t kRoom = 4096;

  struct Gateway {
    std::shared_ptr<gateway::RequestStore> store;
    FakeDispatcher dispatcher;
    metrics::Registry registry;
    std::unique_ptr<gateway::Edge> edge;
  };

  void SetUp() override {
    start_gateway(first_);
    start_gateway(second_);
    say("Hello world");
  }
  void start_gateway(Gateway& gateway) {
    gateway.store = std::make_shared<gateway::RequestStore>(gateway::RequestStoreOptions{}, clock_,
                                                            std::make_unique<ScriptDirectory>(redis_));
    gateway.dispatcher.set_models({{"small", ModelId{1, 7}, kRoom, 1}, {"hermes", ModelId{1, 8}, kRoom, 1}});
    gateway::EdgeOptions options;
    options.http.port = 0;
    options.requests = gateway.store;
    gateway::ModelTable table;
    ASSERT_TRUE(table.add({"small", small_tokenizer(), *ChatTemplate::parse(kSmallTemplate)}));
    ASSERT_TRUE(table.add({"hermes", small_tokenizer(), *ChatTemplate::parse(kToolTemplate)}));
    auto edge =
        gateway::Edge::start(std::move(options), std::move(table), gateway.dispatcher, gateway.registry);
    ASSERT_TRUE(edge) << edge.error().detail;
    gateway.edge = std::move(*edge);
  }
  /// Every answer of both, byte by byte.
  void say(const std::string& text) {
    for (Gateway* gateway : {&first_, &second_})
      gateway->dispatcher.set_script([text](const gateway::GenerateJob& job) {
        ScriptedAnswer answer;
        answer.cached_tokens = 3;
        auto tokens = byte_tokens(text);
        tokens.push_back({job.stop_tokens.back(), -0.25f, {}});
        answer.choices.assign(job.choices, tokens);
        return answer;
      });
  }
  static Answer call(const Gateway& gateway, std::string_view method, const std::string& path,
                     const json& body = {}, const std::string& headers = {}) {
    return HttpClient(gateway.edge->port()).call(method, path, body.is_null() ? "" : body.dump(), headers);
  }
  static json good(const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  json create(json body, const Gateway* gateway = nullptr) {
    return good(call(gateway == nullptr ? first_ : *gateway, "POST", kUrl, body));
  }
  static json asked(json more = json::object()) {
    json body{{"model", "small"}, {"input", "Hi"}};
    body.update(more);
    return body;
  }
  static std::string prompt(const Gateway& gateway) {
    return *small_tokenizer()->decode(gateway.dispatcher.seen().back().prompt, true);
  }
  static std::string code_of(const Answer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    return body.is_discarded() ? answer.body : body["error"]["code"].get<std::string>();
  }
  static std::string param_of(const Answer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    return body.is_discarded() || !body["error"]["param"].is_string()
               ? ""
               : body["error"]["param"].get<std::string>();
  }
  /// (name, payload) of the events; each is numbered, for its client and in itself.
  static std::vector<std::pair<std::string, json>> events_of(const std::string& text, std::size_t from = 0) {
    std::vector<std::pair<std::string, json>> out;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find("\n\n", at);
      const std::string head = "id: " + std::to_string(from + out.size()) + "\nevent: ";
      const auto data = text.find("\ndata: ", at);
      EXPECT_EQ(text.substr(at, head.size()), head);
      if (end == std::string::npos || data > end) break;
      out.emplace_back(text.substr(at + head.size(), data - at - head.size()),
                       json::parse(text.substr(data + 7, end - data - 7)));
      EXPECT_EQ(out.back().second["sequence_number"], from + out.size() - 1);
      at = end + 2;
    }
    return out;
  }

  SteadyClock clock_;
  std::shared_ptr<ScriptRedis> redis_ = std::make_shared<ScriptRedis>(clock_);
  Gateway first_, second_;
};

TEST_F(Responses, AWholeAnswer) {
  const json answer = create(asked({{"instructions", "Be kind."}, {"metadata", {{"a", "b"}}}}));
  EXPECT_EQ(answer["object"], "response");
  EXPECT_EQ(answer["status"], "completed");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("resp_"));
  ASSERT_EQ(answer["output"].size(), 1u);
  EXPECT_EQ(answer["output"][0]["type"], "message");
  EXPECT_EQ(answer["output"][0]["content"][0]["text"], "Hello world");
  EXPECT_EQ(answer["usage"]["output_tokens"], 12);
  EXPECT_EQ(answer["usage"]["input_tokens_details"]["cached_tokens"], 3);
  EXPECT_EQ(answer["metadata"]["a"], "b");
  EXPECT_EQ(answer["instructions"], "Be kind.");
  EXPECT_EQ(prompt(first_),
            "<|start|>system\nBe kind.<|im_end|>\n<|start|>user\nHi<|im_end|>\n<|start|>assistant\n");
}

TEST_F(Responses, AStreamEndsWithTheWholeAnswer) {
  const Answer answer = call(first_, "POST", kUrl, asked({{"stream", true}}));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.whole);
  const auto events = events_of(answer.body);
  std::string text;
  for (const auto& [name, payload] : events) {
    EXPECT_EQ(payload["type"], name);
    if (name == "response.output_text.delta") text += payload["delta"].get<std::string>();
  }
  EXPECT_EQ(text, "Hello world");
  EXPECT_EQ(events.front().first, "response.created");
  EXPECT_EQ(events.back().first, "response.completed");
  const json& last = events.back().second["response"];
  EXPECT_EQ(last["output"][0]["content"][0]["text"], "Hello world");
  // It is stored before its end is told.
  EXPECT_EQ(good(call(second_, "GET", kUrl + "/" + last["id"].get<std::string>())), last);
}

TEST_F(Responses, ACutAnswerIsIncomplete) {
  for (Gateway* gateway : {&first_, &second_})
    gateway->dispatcher.set_script([](const gateway::GenerateJob&) {
      ScriptedAnswer answer;
      answer.choices = {byte_tokens("Hello")};
      answer.finish = FinishReason::length;
      return answer;
    });
  const json answer = create(asked({{"max_output_tokens", 5}}));
  EXPECT_EQ(answer["status"], "incomplete");
  EXPECT_EQ(answer["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(answer["max_output_tokens"], 5);
  EXPECT_EQ(first_.dispatcher.seen().back().max_tokens, 5u);
}

TEST_F(Responses, AConversationGoesOnAtAnyGateway) {
  const json first = create(asked({{"input", "My name is Ada."}, {"instructions", "Be kind."}}));
  const json second =
      create(asked({{"input", "Who am I?"}, {"previous_response_id", first["id"]}}), &second_);
  EXPECT_EQ(second["previous_response_id"], first["id"]);
  // Instructions are of one response only.
  EXPECT_EQ(prompt(second_),
            "<|start|>user\nMy name is Ada.<|im_end|>\n<|start|>assistant\nHello world<|im_end|>\n"
            "<|start|>user\nWho am I?<|im_end|>\n<|start|>assistant\n");
  // What came first may be forgotten: the last response has it all.
  EXPECT_EQ(call(second_, "DELETE", kUrl + "/" + first["id"].get<std::string>()).status, 200);
  create(asked({{"input", "Really?"}, {"previous_response_id", second["id"]}}));
  EXPECT_NE(prompt(first_).find("My name is Ada."), std::string::npos);
  EXPECT_NE(prompt(first_).find("Who am I?"), std::string::npos);
}

json weather() {
  return json::parse(R"({"type":"function","name":"weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}})");
}

TEST_F(Responses, AToolIsCalledAndItsResultComesBack) {
  say("A moment.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call>");
  json body = asked({{"model", "hermes"}, {"tools", json::array({weather()})}, {"stream", true}});
  const auto events = events_of(call(first_, "POST", kUrl, body).body);
  std::string arguments;
  for (const auto& [name, payload] : events)
    if (name == "response.function_call_arguments.delta") arguments += payload["delta"].get<std::string>();
  EXPECT_EQ(arguments, R"({"city": "Ulm"})");
  const json& first = events.back().second["response"];
  ASSERT_EQ(first["output"].size(), 2u);
  const json& made = first["output"][1];
  EXPECT_EQ(made["type"], "function_call");
  EXPECT_EQ(made["arguments"], arguments);
  EXPECT_EQ(first["tools"][0]["strict"], true);
  EXPECT_EQ(first_.dispatcher.seen().back().grammar.kind, grammar::Kind::tagged);

  say("Sunny.");
  const json result{{"type", "function_call_output"}, {"call_id", made["call_id"]}, {"output", "21 degrees"}};
  body.erase("stream");
  body["input"] = json::array({result});
  body["previous_response_id"] = first["id"];
  EXPECT_EQ(create(body)["output"][0]["content"][0]["text"], "Sunny.");
  EXPECT_NE(
      prompt(first_).find("A moment.<tool_call>weather</tool_call><|im_end|>\n<|start|>tool\n21 degrees"),
      std::string::npos)
      << prompt(first_);

  // The same by references, and with the items themselves.
  body.erase("previous_response_id");
  body["input"] = json::array({{{"role", "user"}, {"content", "Hi"}},
                               {{"type", "item_reference"}, {"id", first["output"][0]["id"]}},
                               {{"type", "item_reference"}, {"id", made["id"]}},
                               result});
  const std::string expected = prompt(first_);
  create(body, &second_);
  EXPECT_EQ(prompt(second_), expected);
  body["store"] = false;
  body["input"] = json::array({{{"role", "user"}, {"content", "Hi"}}, first["output"][0], made, result});
  create(body, &second_);
  EXPECT_EQ(prompt(second_), expected);
}

TEST_F(Responses, AResponseIsItsOwnersAlone) {
  const std::string mine = "Authorization: Bearer mine\r\n", other = "Authorization: Bearer other\r\n";
  const json answer = good(call(first_, "POST", kUrl, asked(), mine));
  const std::string path = kUrl + "/" + answer["id"].get<std::string>();
  EXPECT_EQ(good(call(second_, "GET", path, {}, mine)), answer);
  for (const std::string& who : {other, std::string()}) {
    EXPECT_EQ(call(second_, "GET", path, {}, who).status, 404);
    EXPECT_EQ(call(second_, "GET", path + "/input_items", {}, who).status, 404);
    EXPECT_EQ(call(second_, "DELETE", path, {}, who).status, 404);
    EXPECT_EQ(code_of(call(second_, "POST", kUrl, asked({{"previous_response_id", answer["id"]}}), who)),
              "previous_response_not_found");
  }
  EXPECT_EQ(call(first_, "GET", path, {}, mine).status, 200);
}

TEST_F(Responses, WhatIsDeletedIsGoneEverywhere) {
  const Answer streamed = call(first_, "POST", kUrl, asked({{"stream", true}}));
  const json answer = events_of(streamed.body).back().second["response"];
  const std::string path = kUrl + "/" + answer["id"].get<std::string>();
  const json deleted = good(call(second_, "DELETE", path));
  EXPECT_EQ(deleted, json({{"id", answer["id"]}, {"object", "response"}, {"deleted", true}}));
  for (const Gateway* gateway : {&first_, &second_}) {
    EXPECT_EQ(call(*gateway, "GET", path).status, 404);
    EXPECT_EQ(call(*gateway, "DELETE", path).status, 404);
  }
  EXPECT_EQ(call(second_, "GET", path + "?stream=true").status, 404);
}

TEST_F(Responses, WhatIsNotStoredCannotBeAskedFor) {
  const json answer = create(asked({{"store", false}}));
  EXPECT_EQ(answer["store"], false);
  EXPECT_EQ(call(first_, "GET", kUrl + "/" + answer["id"].get<std::string>()).status, 404);
}

TEST_F(Responses, ItsInputIsListedInPages) {
  json body = asked();
  body["input"] = json::array();
  for (int i = 0; i < 5; ++i) body["input"].push_back({{"role", "user"}, {"content", std::to_string(i)}});
  const std::string path = kUrl + "/" + create(body)["id"].get<std::string>() + "/input_items";
  const json all = good(call(second_, "GET", path));
  ASSERT_EQ(all["data"].size(), 5u);
  EXPECT_EQ(all["object"], "list");
  EXPECT_EQ(all["data"][0]["content"][0]["text"], "4");  // the last one first
  EXPECT_EQ(all["has_more"], false);
  const json page = good(call(second_, "GET", path + "?order=asc&limit=2"));
  EXPECT_EQ(page["data"][1]["content"][0]["text"], "1");
  EXPECT_EQ(page["has_more"], true);
  EXPECT_EQ(page["last_id"], page["data"][1]["id"]);
  const json rest =
      good(call(second_, "GET", path + "?order=asc&limit=3&after=" + page["last_id"].get<std::string>()));
  EXPECT_EQ(rest["first_id"], rest["data"][0]["id"]);
  EXPECT_EQ(rest["data"][0]["content"][0]["text"], "2");
  EXPECT_EQ(rest["has_more"], false);
  EXPECT_EQ(param_of(call(first_, "GET", path + "?limit=101")), "limit");
  EXPECT_EQ(param_of(call(first_, "GET", path + "?order=up")), "order");
  EXPECT_EQ(param_of(call(first_, "GET", path + "?after=msg_1")), "after");
}

TEST_F(Responses, AStreamIsTakenUpAgainFromAnyEvent) {
  const Answer whole = call(first_, "POST", kUrl, asked({{"stream", true}, {"temperature", 0.8}}));
  const auto events = events_of(whole.body);
  const std::string id = events.back().second["response"]["id"];
  for (const std::size_t from : {std::size_t{1}, std::size_t{4}, events.size() - 1}) {
    const auto at = whole.body.find("id: " + std::to_string(from) + "\nevent");
    for (const Gateway* gateway : {&first_, &second_}) {
      const Answer rest =
          call(*gateway, "GET", kUrl + "/" + id + "?stream=true&starting_after=" + std::to_string(from - 1));
      EXPECT_EQ(rest.status, 200) << rest.body;
      EXPECT_EQ(rest.body, whole.body.substr(at));
    }
  }
  EXPECT_EQ(call(second_, "GET", "/v1/requests/" + id + "/events?from=0").body, whole.body);
  EXPECT_EQ(param_of(call(second_, "GET", kUrl + "/" + id + "?stream=true&starting_after=x")),
            "starting_after");
}

TEST_F(Responses, AStreamThatIsTakenUpElsewhereIsStoredThere) {
  first_.dispatcher.set_manual();
  HttpClient client(first_.edge->port());
  client.request("POST", kUrl, asked({{"stream", true}}).dump());
  const OpenJob open = first_.dispatcher.next_job();
  ASSERT_TRUE(open.sink);
  open.sink->on_start({3, {}});
  ASSERT_TRUE(client.wait_for("response.in_progress"));
  const std::string head = client.received();
  const std::string id = "resp_" + head.substr(head.find("x-request-id: ") + 14, 32);
  client.close();
  ASSERT_TRUE(first_.dispatcher.wait_for_cancels(1));
  EXPECT_EQ(call(second_, "GET", kUrl + "/" + id).status, 404);
  const Answer rest = call(second_, "GET", kUrl + "/" + id + "?stream=true&starting_after=1");
  EXPECT_EQ(events_of(rest.body, 2).back().first, "response.completed");
  EXPECT_EQ(good(call(first_, "GET", kUrl + "/" + id))["output"][0]["content"][0]["text"], "Hello world");
}

TEST_F(Responses, AnIdempotencyKeyGivesTheSameResponse) {
  const std::string key = "Idempotency-Key: k\r\n";
  const json once = good(call(first_, "POST", kUrl, asked(), key));
  EXPECT_EQ(good(call(second_, "POST", kUrl, asked(), key)), once);
  EXPECT_EQ(call(second_, "POST", kUrl, asked({{"input", "Other"}}), key).status, 422);
}

TEST_F(Responses, AFailureOnTheWayIsTold) {
  first_.dispatcher.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("He")};
    answer.error_after_tokens = Error{Errc::peer_lost, "the worker is gone"};
    return answer;
  });
  const Answer streamed = call(first_, "POST", kUrl, asked({{"stream", true}}));
  EXPECT_NE(streamed.body.find("event: error\ndata: {\"type\":\"error\",\"code\":\"peer_lost\""),
            std::string::npos)
      << streamed.body;
  EXPECT_NE(streamed.body.find("event: response.failed\n"), std::string::npos);
  EXPECT_EQ(streamed.body.find("event: response.completed\n"), std::string::npos);
  const Answer whole = call(first_, "POST", kUrl, asked());
  EXPECT_EQ(whole.status, 503);
  EXPECT_EQ(code_of(whole), "peer_lost");
}

TEST_F(Responses, WithoutItsDirectoryAGatewayGoesOnWithItsOwn) {
  const json theirs = create(asked(), &second_);
  {
    const std::lock_guard lock(redis_->mutex);
    redis_->away = true;
  }
  const json mine = create(asked());
  create(asked({{"previous_response_id", mine["id"]}}));
  EXPECT_NE(prompt(first_).find("Hello world"), std::string::npos);
  EXPECT_EQ(call(first_, "GET", kUrl + "/" + theirs["id"].get<std::string>()).status, 503);
  EXPECT_EQ(call(first_, "POST", kUrl, asked({{"previous_response_id", theirs["id"]}})).status, 503);
}

TEST_F(Responses, TokensOfAnInputAreCounted) {
  const json counted = good(call(first_, "POST", kUrl + "/input_tokens", asked()));
  EXPECT_EQ(counted["object"], "response.input_tokens");
  const json answer = create(asked());
  EXPECT_EQ(counted["input_tokens"], answer["usage"]["input_tokens"]);
  EXPECT_EQ(first_.dispatcher.seen().size(), 1u);
}

TEST_F(Responses, RefusalsNameThisApisFields) {
  const std::vector<std::tuple<json, int, std::string, std::string>> cases{
      {asked({{"background", true}}), 400, "unsupported_parameter", "background"},
      {asked({{"tools", json::array({{{"type", "web_search"}}})}}), 400, "unsupported_parameter",
       "tools[0].type"},
      {asked({{"messages", chat_body()["messages"]}}), 400, "unknown_parameter", "messages"},
      {asked({{"tools", json::parse(R"([{"type":"function","function":{"name":"f"}}])")}}), 400,
       "unknown_parameter", "tools[0].function"},
      {asked({{"max_output_tokens", 100000}}), 400, "context_length_exceeded", "max_output_tokens"},
      {asked({{"input", std::string(5000, 'x')}}), 400, "context_length_exceeded", "input"},
      {asked({{"model", "none"}}), 404, "model_not_found", "model"},
      {asked({{"input", json::array({{{"type", "item_reference"},
                                      {"id", "msg_00000000000000000000000000000000o0"}}})}}),
       404, "item_not_found", "input[0].id"},
      {asked({{"previous_response_id", "resp_00000000000000000000000000000000"}}), 400,
       "previous_response_not_found", "previous_response_id"}};
  for (const auto& [body, status, code, param] : cases) {
    const Answer answer = call(first_, "POST", kUrl, body);
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(code_of(answer), code) << answer.body;
    EXPECT_EQ(param_of(answer), param) << answer.body;
  }
  EXPECT_EQ(first_.dispatcher.seen().size(), 0u);
}

TEST_F(Responses, PathsTakeTheirMethods) {
  const std::string id = create(asked())["id"];
  EXPECT_EQ(call(first_, "POST", kUrl + "/" + id + "/cancel").status, 400);
  EXPECT_EQ(call(first_, "POST", kUrl + "/resp_00000000000000000000000000000000/cancel").status, 404);
  EXPECT_EQ(call(first_, "GET", kUrl + "/nothing").status, 404);
  EXPECT_EQ(call(first_, "GET", kUrl).header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(call(first_, "PUT", kUrl + "/" + id).header("Allow"), "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(call(first_, "DELETE", kUrl + "/" + id + "/input_items").status, 405);
  EXPECT_EQ(call(first_, "GET", kUrl + "/" + id + "/other").status, 404);
}

}  // namespace
}  // namespace troupe::test
