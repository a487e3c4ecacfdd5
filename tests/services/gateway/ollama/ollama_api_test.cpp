// Ollama's API through the whole edge.
#include "services/gateway/ollama/model_cards.hpp"
#include "tests/services/gateway/adapter_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

json chat(const std::string& model = "small") {
  return {{"model", model}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
}

class Ollama : public AdapterTest {
 protected:
  json whole(const std::string& path, json body) {
    body["stream"] = false;
    return post_json(path, body);
  }
  std::vector<json> lines(const std::string& path, const json& body) {
    const Answer answer = post(path, body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(answer.whole);
    EXPECT_TRUE(answer.has("Content-Type: application/x-ndjson")) << answer.head;
    std::vector<json> out;
    for (std::size_t at = 0; at < answer.body.size(); at = answer.body.find('\n', at) + 1)
      out.push_back(json::parse(answer.body.substr(at, answer.body.find('\n', at) - at)));
    return out;
  }
  json get(const std::string& path) {
    const Answer answer = HttpClient(port()).call("GET", path);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  }
  std::string refused(const std::string& path, const json& body, int status) {
    const Answer answer = post(path, body.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    const json error = json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(error.is_object() && error.size() == 1 && error["error"].is_string()) << answer.body;
    return error.value("error", "");
  }
};

TEST_F(Ollama, AChatStreamsLinesUnlessToldNotTo) {
  start();
  const auto told = lines("/api/chat", chat());
  std::string text;
  for (const json& line : told) {
    EXPECT_EQ(line["model"], "small");
    text += line["message"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, "Hello world");
  EXPECT_EQ(told.back()["done_reason"], "stop");
  EXPECT_EQ(told.back()["eval_count"], 12);
  const json answer = whole("/api/chat", chat());
  EXPECT_EQ(answer["message"], json({{"role", "assistant"}, {"content", "Hello world"}}));
  EXPECT_EQ(answer["done"], true);
}

TEST_F(Ollama, DurationsArePartsOfTheTotal) {
  start();
  const json answer = whole("/api/chat", chat());
  const auto load = answer["load_duration"].get<std::uint64_t>();
  const auto prompt_eval = answer["prompt_eval_duration"].get<std::uint64_t>();
  const auto eval = answer["eval_duration"].get<std::uint64_t>();
  EXPECT_GT(load, 0u);
  EXPECT_GT(prompt_eval, 0u);
  EXPECT_GE(answer["total_duration"].get<std::uint64_t>(), load + prompt_eval + eval);
  EXPECT_EQ(answer["prompt_eval_count"], dispatcher_.seen().back().prompt.size());
}

TEST_F(Ollama, ATagMeansThePlainModelAndIsRepeated) {
  start();
  EXPECT_EQ(whole("/api/chat", chat("small:latest"))["model"], "small:latest");
  EXPECT_EQ(job().model, "small");
  EXPECT_NE(refused("/api/chat", chat("small:7b"), 404).find("small:7b"), std::string::npos);
}

TEST_F(Ollama, APromptIsAChatOrRaw) {
  start();
  json body = {{"model", "small"}, {"prompt", "Hi"}, {"system", "Be brief."}};
  EXPECT_EQ(whole("/api/generate", body)["response"], "Hello world");
  EXPECT_NE(prompt().find("<|start|>system\nBe brief."), std::string::npos) << prompt();
  body = {{"model", "raw"}, {"prompt", "Hi"}, {"raw", true}, {"options", {{"num_predict", 3}}}};
  std::string text;
  for (const json& line : lines("/api/generate", body)) text += line["response"].get<std::string>();
  EXPECT_EQ(text, "Hello world");
  EXPECT_EQ(prompt().find("<|start|>"), std::string::npos) << prompt();
  EXPECT_EQ(job().max_tokens, 3u);
}

TEST_F(Ollama, ToolsAreCalledAndAnswered) {
  start();
  answer_with("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}\n</tool_call>");
  json body = chat();
  body["tools"] = json::parse(R"([{"type":"function","function":{"name":"weather","description":"d",
      "parameters":{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}}}])");
  const auto told = lines("/api/chat", body);
  ASSERT_EQ(told.size(), 2u);
  const json call = told[0]["message"]["tool_calls"][0];
  EXPECT_EQ(call["function"]["arguments"], json({{"city", "Köln"}}));
  EXPECT_EQ(whole("/api/chat", body)["message"]["tool_calls"][0]["function"], call["function"]);

  answer_with("Sunny.");
  body["messages"].push_back({{"role", "assistant"}, {"content", ""}, {"tool_calls", json::array({call})}});
  body["messages"].push_back({{"role", "tool"}, {"tool_name", "weather"}, {"content", "21 degrees"}});
  EXPECT_EQ(whole("/api/chat", body)["message"]["content"], "Sunny.");
  EXPECT_NE(prompt().find("<tool_response>\n21 degrees\n</tool_response>"), std::string::npos) << prompt();
}

TEST_F(Ollama, ThinkingIsToldApartWhereTheModelThinks) {
  start();
  answer_with("<think>hm</think>Yes");
  json body = chat("thinker");
  body["think"] = true;
  const json answer = whole("/api/chat", body);
  EXPECT_EQ(answer["message"]["thinking"], "hm");
  EXPECT_EQ(answer["message"]["content"], "Yes");
  body["think"] = false;
  EXPECT_EQ(whole("/api/chat", body)["message"]["content"], "<think>hm</think>Yes");
  body["think"] = true;
  body["model"] = "small";
  EXPECT_EQ(refused("/api/chat", body, 400), "think: 'small' does not support thinking");
}

TEST_F(Ollama, AContextIsTakenUpToTheModels) {
  start();
  json body = chat();
  body["options"] = {{"num_ctx", kRoom}};
  EXPECT_EQ(whole("/api/chat", body)["done"], true);
  body["options"] = {{"num_ctx", kRoom + 1}};
  EXPECT_EQ(refused("/api/chat", body, 400), "options.num_ctx: the context holds 4096 tokens, found 4097");
}

TEST_F(Ollama, NothingToAnswerOnlyAsksForTheModel) {
  start();
  EXPECT_EQ(post_json("/api/generate", {{"model", "small"}})["done_reason"], "load");
  EXPECT_EQ(post_json("/api/chat", {{"model", "small"}})["message"]["content"], "");
  refused("/api/generate", {{"model", "gone"}}, 404);
  EXPECT_TRUE(dispatcher_.seen().empty());
}

TEST_F(Ollama, ErrorsAreOneString) {
  start();
  refused("/api/chat", json::array(), 400);
  refused("/api/chat", chat("gone"), 404);
  refused("/api/chat", chat("asleep"), 503);
  EXPECT_EQ(refused("/api/embed", {{"model", "small"}, {"input", "x"}}, 501),
            "embeddings are not served here");
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("He")};
    answer.error_after_tokens = Error{Errc::peer_lost, "gone"};
    return answer;
  });
  EXPECT_EQ(lines("/api/chat", chat()).back(), json({{"error", "gone"}}));
}

TEST_F(Ollama, ModelsAreListedAndShown) {
  start();
  const json tags = get("/api/tags")["models"];
  ASSERT_EQ(tags.size(), 3u);
  EXPECT_EQ(tags[0], json::parse(R"({"name":"small:latest","model":"small:latest","size":98000000,
      "digest":"00000000000000010000000000000002","details":{"parent_model":"","format":"gguf","family":"llama",
      "families":["llama"],"parameter_size":"134.52M","quantization_level":"Q4_1"},
      "modified_at":"2023-11-14T22:13:20Z"})"));
  const json running = get("/api/ps")["models"];
  EXPECT_EQ(running[1]["name"], "thinker:latest");
  EXPECT_EQ(running[1]["context_length"], kRoom);
  const json shown = post_json("/api/show", {{"model", "thinker:latest"}});
  EXPECT_EQ(shown["capabilities"], json::array({"completion", "tools", "thinking"}));
  EXPECT_EQ(shown["model_info"]["llama.context_length"], kRoom);
  EXPECT_EQ(shown["details"], tags[0]["details"]);
  EXPECT_EQ(post_json("/api/show", {{"name", "raw"}})["capabilities"], json::array({"completion"}));
  refused("/api/show", {{"model", "gone"}}, 404);
  EXPECT_FALSE(get("/api/version")["version"].get<std::string>().empty());
}

TEST(ModelCards, CountsAreShort) {
  EXPECT_EQ(gateway::ollama::short_count(8'030'261'248), "8.0B");
  EXPECT_EQ(gateway::ollama::short_count(134'515'008), "134.52M");
  EXPECT_EQ(gateway::ollama::short_count(12'000), "12.00K");
}

}  // namespace
}  // namespace troupe::test
