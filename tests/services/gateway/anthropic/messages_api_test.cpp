// Anthropic's API through the whole edge.
#include "common/security/key_files.hpp"
#include "services/gateway/api_keys.hpp"
#include "tests/services/gateway/adapter_fixture.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

const std::string kUrl = "/v1/messages";
const std::string kVersion = "anthropic-version: 2023-06-01\r\n";

json asked(const std::string& model = "small") {
  return {{"model", model}, {"max_tokens", 50}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
}

json with_tool() {
  json body = asked();
  const json schema = {{"type", "object"},
                       {"properties", {{"city", {{"type", "string"}}}}},
                       {"required", {"city"}},
                       {"additionalProperties", false}};
  body["tools"] = json::array({{{"name", "weather"}, {"input_schema", schema}}});
  return body;
}

/// Payloads of a stream's events, each of which must be named as it is.
std::vector<json> events_of(const std::string& text) {
  std::vector<json> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find("\n\n", at);
    const auto data = text.find("\ndata: ", at);
    if (end == std::string::npos || data >= end) {
      ADD_FAILURE() << text.substr(at);
      break;
    }
    out.push_back(json::parse(text.substr(data + 7, end - data - 7)));
    EXPECT_EQ(text.substr(at, data - at), "event: " + out.back()["type"].get<std::string>());
    at = end + 2;
  }
  return out;
}

class Messages : public AdapterTest {
 protected:
  std::vector<json> stream(json body) {
    body["stream"] = true;
    const Answer answer = post(kUrl, body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(answer.whole);
    EXPECT_TRUE(answer.has("Content-Type: text/event-stream"));
    return events_of(answer.body);
  }
  json refused(const std::string& path, const std::string& body, int status,
               const std::string& headers = {}) {
    const Answer answer = post(path, body, headers);
    EXPECT_EQ(answer.status, status) << answer.body;
    const json error = json::parse(answer.body, nullptr, false);
    EXPECT_EQ(error.value("type", ""), "error") << answer.body;
    return error["error"];
  }
};

TEST_F(Messages, AnAnswerAndWhatItUsed) {
  start();
  const json answer = post_json(kUrl, asked());
  EXPECT_EQ(answer["type"], "message");
  EXPECT_EQ(answer["content"], json::parse(R"([{"type":"text","text":"Hello world"}])"));
  EXPECT_EQ(answer["stop_reason"], "end_turn");
  EXPECT_EQ(answer["model"], "small");
  const json chat = post_json("/v1/chat/completions", chat_body())["usage"];
  EXPECT_EQ(answer["usage"]["cache_read_input_tokens"], 3);
  EXPECT_EQ(answer["usage"]["input_tokens"], chat["prompt_tokens"].get<int>() - 3);
  EXPECT_EQ(answer["usage"]["output_tokens"], chat["completion_tokens"]);
  EXPECT_EQ(job().max_tokens, kRoom - chat["prompt_tokens"].get<unsigned>());  // of the chat
  EXPECT_EQ(dispatcher_.seen()[0].max_tokens, 50u);
  EXPECT_EQ(dispatcher_.seen()[0].prompt, job().prompt);
}

TEST_F(Messages, AStreamIsTheAnswerInPieces) {
  start();
  const auto events = stream(asked());
  std::string text;
  for (const json& event : events)
    if (event["type"] == "content_block_delta") text += event["delta"]["text"].get<std::string>();
  EXPECT_EQ(text, "Hello world");
  EXPECT_EQ(events.front()["message"]["usage"]["cache_read_input_tokens"], 3);
  EXPECT_EQ(events[events.size() - 2]["delta"]["stop_reason"], "end_turn");
  EXPECT_EQ(events[events.size() - 2]["usage"]["output_tokens"], 12);
  EXPECT_EQ(events.back()["type"], "message_stop");
}

TEST_F(Messages, AStopSequenceIsNamed) {
  start();
  json body = asked();
  body["stop_sequences"] = {"xx", "wor"};
  const json answer = post_json(kUrl, body);
  EXPECT_EQ(answer["content"][0]["text"], "Hello ");
  EXPECT_EQ(answer["stop_reason"], "stop_sequence");
  EXPECT_EQ(answer["stop_sequence"], "wor");
  const auto events = stream(body);
  EXPECT_EQ(events[events.size() - 2]["delta"]["stop_sequence"], "wor");
}

TEST_F(Messages, ALengthBeyondTheContextIsCutAndSaid) {
  start();
  answer_cut("Hello");
  EXPECT_EQ(post_json(kUrl, asked())["stop_reason"], "max_tokens");
  json body = asked();
  body["max_tokens"] = 100000;
  EXPECT_EQ(post_json(kUrl, body)["stop_reason"], "model_context_window_exceeded");
  EXPECT_EQ(job().max_tokens + job().prompt.size(), kRoom);
}

TEST_F(Messages, NoTokensAtAllIsAnEmptyAnswer) {
  start();
  json body = asked();
  body["max_tokens"] = 0;
  const json answer = post_json(kUrl, body);
  EXPECT_TRUE(answer["content"].empty());
  EXPECT_EQ(answer["stop_reason"], "max_tokens");
  EXPECT_EQ(answer["usage"]["output_tokens"], 0);
}

TEST_F(Messages, ToolsAreCalledAndAnswered) {
  start();
  answer_with(
      "One moment.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}\n</tool_call>");
  json body = with_tool();
  const json answer = post_json(kUrl, body);
  EXPECT_EQ(answer["stop_reason"], "tool_use");
  ASSERT_EQ(answer["content"].size(), 2u);
  EXPECT_EQ(answer["content"][1]["input"], json({{"city", "Köln"}}));
  std::string arguments;
  for (const json& event : stream(body))
    if (event["type"] == "content_block_delta" && event["delta"]["type"] == "input_json_delta")
      arguments += event["delta"]["partial_json"].get<std::string>();
  EXPECT_EQ(json::parse(arguments), answer["content"][1]["input"]);

  answer_with("Sunny.");
  body["messages"].push_back({{"role", "assistant"}, {"content", answer["content"]}});
  body["messages"].push_back({{"role", "user"},
                              {"content", json::array({{{"type", "tool_result"},
                                                        {"tool_use_id", answer["content"][1]["id"]},
                                                        {"content", "21 degrees"}}})}});
  EXPECT_EQ(post_json(kUrl, body)["content"][0]["text"], "Sunny.");
  EXPECT_NE(prompt().find("<tool_response>\n21 degrees\n</tool_response>"), std::string::npos) << prompt();
}

TEST_F(Messages, ARequiredToolHoldsTheAnswer) {
  start();
  json body = with_tool();
  body["tool_choice"] = {{"type", "any"}};
  post_json(kUrl, body);
  EXPECT_EQ(job().grammar.kind, grammar::Kind::tagged);
  body = asked();
  body["output_config"] = {{"format", {{"type", "json_schema"}, {"schema", {{"type", "object"}}}}}};
  post_json(kUrl, body);
  EXPECT_EQ(job().grammar.kind, grammar::Kind::json_schema);
}

TEST_F(Messages, ThinkingIsABlockOfItsOwn) {
  start();
  answer_with("<think>\nhm\n</think>\n\nYes");
  json body = asked("thinker");
  body["thinking"] = {{"type", "adaptive"}};
  const json answer = post_json(kUrl, body);
  EXPECT_EQ(
      answer["content"],
      json::parse(R"([{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"Yes"}])"));
  EXPECT_NE(prompt().find("T<|start|>"), std::string::npos) << prompt();
  body["thinking"] = {{"type", "disabled"}};
  post_json(kUrl, body);
  EXPECT_EQ(prompt().find("T<|start|>"), std::string::npos) << prompt();
}

TEST_F(Messages, TokensAreCounted) {
  start();
  json body = with_tool();
  const json usage = post_json(kUrl, body)["usage"];
  body.erase("max_tokens");
  EXPECT_EQ(post_json(kUrl + "/count_tokens", body)["input_tokens"],
            usage["input_tokens"].get<int>() + usage["cache_read_input_tokens"].get<int>());
  EXPECT_EQ(dispatcher_.seen().size(), 1u);
  body["model"] = "asleep";  // needs no worker
  EXPECT_EQ(post(kUrl + "/count_tokens", body.dump()).status, 200);
}

TEST_F(Messages, ErrorsHaveTheFormOfTheirApi) {
  start();
  json body = asked();
  body.erase("max_tokens");
  EXPECT_EQ(refused(kUrl, body.dump(), 400),
            json({{"type", "invalid_request_error"}, {"message", "max_tokens is required"}}));
  EXPECT_EQ(refused(kUrl, "{", 400)["type"], "invalid_request_error");
  EXPECT_EQ(refused(kUrl, asked("gone").dump(), 404)["type"], "not_found_error");
  EXPECT_EQ(refused(kUrl, asked("asleep").dump(), 529)["type"], "overloaded_error");
  EXPECT_EQ(refused(kUrl + "/count_tokens", asked("gone").dump(), 400)["type"], "invalid_request_error");
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.error_at_start = Error{Errc::queue_full, "full"};
    return answer;
  });
  EXPECT_EQ(refused(kUrl, asked().dump(), 529), json({{"type", "overloaded_error"}, {"message", "full"}}));
}

TEST_F(Messages, KeysAndTheirLimitsAreThoseOfEveryApi) {
  const SecretFolder folder;
  const std::string file = (folder / "keys.yaml").string();
  gateway::ApiKey key;
  key.name = key.tenant = "alice";
  key.hash = security::sha256("sk-alice");
  key.models = {"small"};
  key.rates.requests_per_minute = 2;
  ASSERT_TRUE(security::replace_file(file, "keys:\n" + entry_text(key)));
  gateway::EdgeOptions options;
  options.api_keys = file;
  start(std::move(options));
  const std::string shown = "x-api-key: sk-alice\r\n";
  EXPECT_EQ(refused(kUrl, asked().dump(), 401)["type"], "authentication_error");
  EXPECT_EQ(post(kUrl, asked().dump(), shown).status, 200);
  EXPECT_EQ(refused(kUrl, asked("raw").dump(), 404, shown)["type"], "not_found_error");
  EXPECT_EQ(refused(kUrl, asked().dump(), 429, shown)["type"], "rate_limit_error");
  EXPECT_EQ(dispatcher_.seen().size(), 1u);
  EXPECT_EQ(dispatcher_.seen()[0].tenant, "alice");
}

TEST_F(Messages, ABodyThatIsTooLongIsSaidInItsForm) {
  gateway::EdgeOptions options;
  options.http.max_body_bytes = 1000;
  start(std::move(options));
  EXPECT_EQ(refused(kUrl, std::string(2000, ' '), 413)["type"], "request_too_large");
}

TEST_F(Messages, AStreamThatFailsEndsWithAnErrorEvent) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("He")};
    answer.error_after_tokens = Error{Errc::peer_lost, "gone"};
    return answer;
  });
  const auto events = stream(asked());
  EXPECT_EQ(events.back()["error"], json({{"type", "overloaded_error"}, {"message", "gone"}}));
}

TEST_F(Messages, ModelsAreListedInTheFormOfTheClient) {
  start();
  const Answer listed = HttpClient(port()).call("GET", "/v1/models", "", kVersion);
  const json list = json::parse(listed.body);
  ASSERT_EQ(list["data"].size(), 3u) << listed.body;
  EXPECT_EQ(
      list["data"][0],
      json::parse(R"({"type":"model","id":"small","display_name":"small","created_at":"2023-11-14T22:13:20Z",
                            "lifecycle":"active","max_input_tokens":4096,"max_tokens":4096})"));
  EXPECT_EQ(list["has_more"], false);
  EXPECT_EQ(list["last_id"], "raw");
  EXPECT_EQ(json::parse(HttpClient(port()).call("GET", "/v1/models/raw", "", kVersion).body)["id"], "raw");
  const Answer missing = HttpClient(port()).call("GET", "/v1/models/no", "", kVersion);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(json::parse(missing.body)["error"]["type"], "not_found_error");
  EXPECT_EQ(json::parse(HttpClient(port()).call("GET", "/v1/models").body)["object"], "list");
}

}  // namespace
}  // namespace troupe::test
