// Tools and reasoning through the whole edge: what the template is shown, what the worker is held to, and how
// an answer is told, whole and as a stream.
#include "services/gateway/tool_format.hpp"
#include "tests/common/grammar/rig.hpp"
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

const std::string kUrl = "/v1/chat/completions";

constexpr std::string_view kToolTemplate =
    "<|start|>{% if tools %}T{{ tools | tojson }}{% endif %}{% for d in documents %}D{{ d.text }}{% endfor %}"
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls %}"
    "<tool_call>{{ c.function.arguments | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% if mood %}{{ mood }}{% endif %}{% endif %}";

class Tools : public EdgeTest {
 protected:
  static constexpr std::uint32_t kRoom = 4096;

  void SetUp() override {
    EdgeTest::SetUp();
    dispatcher_.set_models({{"small", ModelId{1, 2}, kRoom, 1},
                            {"hermes", ModelId{1, 3}, kRoom, 1},
                            {"thinker", ModelId{1, 4}, kRoom, 1}});
  }
  void start() {
    gateway::EdgeOptions options;
    options.http.port = 0;
    gateway::ModelTable table;
    const std::string thinker = "{# <think> #}" + std::string(kToolTemplate);
    const std::vector<std::pair<std::string, std::string>> models{
        {"small", std::string(kSmallTemplate)}, {"hermes", std::string(kToolTemplate)}, {"thinker", thinker}};
    for (const auto& [name, source] : models) {
      auto parsed = ChatTemplate::parse(source);
      ASSERT_TRUE(parsed) << parsed.error().detail;
      ASSERT_TRUE(table.add({name, small_tokenizer(), *parsed}));
    }
    auto edge = gateway::Edge::start(std::move(options), std::move(table), dispatcher_, registry_);
    ASSERT_TRUE(edge) << edge.error().detail;
    edge_ = std::move(*edge);
  }
  std::string prompt() const { return *small_tokenizer()->decode(dispatcher_.seen().back().prompt, true); }
  grammar::Source grammar() const { return dispatcher_.seen().back().grammar; }
};

json tool(const std::string& name, json parameters = json::object()) {
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", std::move(parameters)}}}};
}

json asked(const std::string& model = "hermes") {
  json body = chat_body();
  body["model"] = model;
  const json city = {{"type", "object"},
                     {"properties", {{"city", {{"type", "string"}}}}},
                     {"required", {"city"}},
                     {"additionalProperties", false}};
  body["tools"] = json::array({tool("weather", city), tool("time")});
  return body;
}

const std::string kCall = R"(<tool_call>
{"name": "weather", "arguments": {"city": "Köln"}}
</tool_call>)";

TEST_F(Tools, AWholeAnswerTellsItsCalls) {
  start();
  answer_with("One moment.\n" + kCall + "\n" + R"(<tool_call>{"name":"time","arguments":{}}</tool_call>)");
  const json answer = post_json(kUrl, asked());
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], "One moment.");
  const json& calls = choice["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0]["type"], "function");
  EXPECT_EQ(calls[0]["function"], json({{"name", "weather"}, {"arguments", R"({"city": "Köln"})"}}));
  EXPECT_EQ(calls[1]["function"], json({{"name", "time"}, {"arguments", "{}"}}));
  EXPECT_TRUE(calls[0]["id"].get<std::string>().starts_with("call_"));
  EXPECT_EQ(calls[0]["id"].get<std::string>().size(), 29u);
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
  EXPECT_EQ(grammar().kind, grammar::Kind::none);
}

TEST_F(Tools, ContentIsNullWhereNothingElseWasSaid) {
  start();
  answer_with(kCall);
  EXPECT_TRUE(post_json(kUrl, asked())["choices"][0]["message"]["content"].is_null());
}

TEST_F(Tools, AStreamTellsNameThenArguments) {
  start();
  answer_with("So: " + kCall);
  const auto chunks = stream(kUrl, asked());
  std::string text, arguments;
  json head;
  for (const json& chunk : chunks) {
    const json& delta = chunk["choices"][0]["delta"];
    text += delta.value("content", "");
    for (const json& call : delta.value("tool_calls", json::array())) {
      EXPECT_EQ(call["index"], 0);
      EXPECT_EQ(call.contains("id"), head.is_null());
      if (head.is_null()) head = call;
      arguments += call["function"]["arguments"].get<std::string>();
    }
  }
  EXPECT_EQ(text, "So:");
  EXPECT_EQ(head["function"]["name"], "weather");
  EXPECT_EQ(head["type"], "function");
  EXPECT_EQ(arguments, R"({"city": "Köln"})");
  EXPECT_EQ(chunks.back()["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_GT(chunks.size(), 15u);  // a delta for each byte of the arguments
}

TEST_F(Tools, AnAnswerCutInACallSaysLength) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    answer.finish = FinishReason::length;
    answer.choices.assign(job.choices, byte_tokens(R"(<tool_call>{"name": "weather", "arguments": {"ci)"));
    return answer;
  });
  const json choice = post_json(kUrl, asked())["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], R"({"ci)");
}

TEST_F(Tools, TheTemplateIsGivenToolsDocumentsAndVariables) {
  start();
  json body = asked();
  body["tools"] = json::array({tool("a<|im_end|>b")});
  EXPECT_EQ(post(kUrl, body.dump()).status, 400);  // no name is a control token
  body["tools"] = json::array({tool("time")});
  body["tools"][0]["function"]["description"] = "<|im_end|>";
  body["documents"] = json::array({{{"text", "one"}}});
  body["chat_template_kwargs"] = {{"mood", "!"}};
  post_json(kUrl, body);
  const std::string shown =
      R"([{"function": {"description": "<|im_end|>", "name": "time", "parameters": {}}, "type": "function"}])";
  EXPECT_EQ(prompt(), "<|start|>T" + shown + "Done<|start|>user\nHi<|im_end|>\n<|start|>assistant\n!");
  const auto ids = dispatcher_.seen().back().prompt;
  EXPECT_EQ(std::ranges::count(ids, small_tokenizer()->eos()), 1);  // the client's own spelling is text
}

TEST_F(Tools, NoneHidesThem) {
  start();
  answer_with(kCall);
  json body = asked();
  body["tool_choice"] = "none";
  const json choice = post_json(kUrl, body)["choices"][0];
  EXPECT_EQ(choice["message"]["content"], kCall);
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(prompt().find("weather"), std::string::npos);
}

TEST_F(Tools, CallsAndResultsAreShownByTheTemplate) {
  start();
  json body = asked();
  body["messages"] = {{{"role", "user"}, {"content", "Hi"}},
                      {{"role", "assistant"},
                       {"content", nullptr},
                       {"tool_calls",
                        {{{"id", "c1"},
                          {"type", "function"},
                          {"function", {{"name", "weather"}, {"arguments", R"({"city":"Rom"})"}}}}}}},
                      {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "sunny"}}};
  post_json(kUrl, body);
  EXPECT_NE(
      prompt().find("assistant\n<tool_call>{\"city\": \"Rom\"}</tool_call><|im_end|>\n<|start|>tool\nsunny"),
      std::string::npos)
      << prompt();
}

// A template without a place for tools: they are told of in the system's message.
TEST_F(Tools, AnyModelCanBeAsked) {
  start();
  answer_with(kCall);
  json body = asked("small");
  body["messages"] = {{{"role", "system"}, {"content", "Be brief"}},
                      {{"role", "user"}, {"content", "Hi"}},
                      {{"role", "assistant"},
                       {"tool_calls",
                        {{{"id", "c1"}, {"function", {{"name", "time"}, {"arguments", ""}}}},
                         {{"id", "c2"}, {"function", {{"name", "time"}, {"arguments", "{}"}}}}}}},
                      {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "noon"}},
                      {{"role", "tool"}, {"tool_call_id", "c2"}, {"content", "night"}}};
  const json choice = post_json(kUrl, body)["choices"][0];
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "weather");
  const std::string text = prompt();
  EXPECT_TRUE(text.starts_with("<|start|>system\nBe brief\n\nYou may call functions")) << text;
  EXPECT_NE(text.find("\"name\":\"weather\""), std::string::npos);
  const std::string call = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";
  EXPECT_NE(text.find("<|start|>assistant\n" + call + "\n" + call + "<|im_end|>"), std::string::npos) << text;
  EXPECT_NE(text.find("<|start|>user\n<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnight\n</"
                      "tool_response><|im_end|>"),
            std::string::npos)
      << text;
}

bool holds(const grammar::Source& source, const std::string& text) {
  return grammar::matches(source, text);
}

TEST_F(Tools, RequiredAndNamedCallsAreHeldToTheirSchemas) {
  start();
  answer_with(kCall);
  const std::string time = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";
  json body = asked();
  body["tool_choice"] = "required";
  post_json(kUrl, body);
  EXPECT_TRUE(holds(grammar(), kCall));
  EXPECT_TRUE(holds(grammar(), kCall + "\n" + time));
  EXPECT_FALSE(holds(grammar(), "Hello"));
  EXPECT_FALSE(holds(grammar(), "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>"));
  body["parallel_tool_calls"] = false;
  post_json(kUrl, body);
  EXPECT_TRUE(holds(grammar(), time));
  EXPECT_FALSE(holds(grammar(), kCall + "\n" + time));
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "time"}}}};
  body["parallel_tool_calls"] = true;
  post_json(kUrl, body);
  EXPECT_TRUE(holds(grammar(), time));
  EXPECT_FALSE(holds(grammar(), kCall));
  EXPECT_FALSE(holds(grammar(), time + "\n" + time));
}

TEST_F(Tools, EachFormatIsReadAsItIsAskedFor) {
  start();
  const std::vector<std::string> spelled{
      kCall,
      R"({"name": "weather", "parameters": {"city": "Köln"}})",
      R"([TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Köln"}}])",
      "```tool_code\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}\n```",
      R"([{"name": "weather", "arguments": {"city": "Köln"}}])",
      kCall,
  };
  ASSERT_EQ(spelled.size(), gateway::tool_formats().size());
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    SCOPED_TRACE(gateway::tool_formats()[i].name);
    answer_with(spelled[i]);
    json body = asked();
    body["tool_choice"] = "required";
    body["troupe"] = {{"tool_format", gateway::tool_formats()[i].name}};
    const json message = post_json(kUrl, body)["choices"][0]["message"];
    EXPECT_TRUE(holds(grammar(), spelled[i]));
    EXPECT_TRUE(message["content"].is_null());
    EXPECT_EQ(message["tool_calls"][0]["function"]["arguments"], R"({"city": "Köln"})");
  }
}

TEST_F(Tools, StrictHoldsCallsThatAreFreeToBeMade) {
  start();
  answer_with("Hello");
  json body = asked();
  body["tools"][0]["function"]["strict"] = true;
  EXPECT_EQ(post_json(kUrl, body)["choices"][0]["message"]["content"], "Hello");
  EXPECT_TRUE(holds(grammar(), "Hello"));
  EXPECT_TRUE(holds(grammar(), "Well. " + kCall));
  EXPECT_FALSE(holds(grammar(), "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_TRUE(
      holds(grammar(), "<tool_call>\n{\"name\": \"time\", \"arguments\": {\"any\": 1}}\n</tool_call>"));
}

TEST_F(Tools, AFormOfTheAnswerHoldsBesideCalls) {
  start();
  json body = asked();
  body["response_format"] = {{"type", "json_object"}};
  post_json(kUrl, body);
  EXPECT_TRUE(holds(grammar(), R"({"a": 1})"));
  EXPECT_TRUE(holds(grammar(), kCall));
  EXPECT_FALSE(holds(grammar(), "Hello"));
}

TEST_F(Tools, FormatsAreFoundByTheTemplatesMarkers) {
  const auto format = [](std::string_view source) {
    return gateway::tool_format_of(**ChatTemplate::parse(source)).name;
  };
  EXPECT_EQ(format("{{ tools }}<tool_call>"), "hermes");
  EXPECT_EQ(format("{{ tools }}<|python_tag|>"), "llama3");
  EXPECT_EQ(format("{{ tools }}[TOOL_CALLS]"), "mistral");
  EXPECT_EQ(format("{{ tools }}```tool_code"), "gemma");
  EXPECT_EQ(format("{{ tools }}"), "json");
  EXPECT_EQ(format("{{ messages }}<tool_call>"), "generic");
}

class Reasoning : public Tools {};

TEST_F(Reasoning, IsToldApart) {
  start();
  answer_with("<think>\nHm.\n</think>\n\nYes");
  const json answer = post_json(kUrl, asked("thinker"));
  EXPECT_EQ(answer["choices"][0]["message"]["reasoning_content"], "Hm.");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Yes");
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 14);  // a token is a byte
  std::string text, thought;
  for (const json& chunk : stream(kUrl, asked("thinker"))) {
    const json& delta = chunk["choices"][0]["delta"];
    text += delta.value("content", "");
    thought += delta.value("reasoning_content", "");
  }
  EXPECT_EQ(text, "Yes");
  EXPECT_EQ(thought, "Hm.");
}

TEST_F(Reasoning, APromptMayBeginIt) {
  start();
  answer_with("Hm.</think>Yes");
  json body = asked("thinker");
  body["chat_template_kwargs"] = {{"mood", "<think>\n"}};
  const json message = post_json(kUrl, body)["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "Hm.");
  EXPECT_EQ(message["content"], "Yes");
}

TEST_F(Reasoning, IsContentWhereItIsNotToBeToldApart) {
  start();
  const std::string text = "<think>Hm.</think>Yes";
  answer_with(text);
  EXPECT_EQ(post_json(kUrl, asked("hermes"))["choices"][0]["message"]["content"], text);
  json body = asked("thinker");
  body["reasoning_format"] = "none";
  EXPECT_EQ(post_json(kUrl, body)["choices"][0]["message"]["content"], text);
  body = asked("hermes");
  body["reasoning_format"] = "deepseek";
  EXPECT_EQ(post_json(kUrl, body)["choices"][0]["message"]["content"], "Yes");
}

// A held answer has no place for reasoning, even where the prompt begins it.
TEST_F(Reasoning, AHeldAnswerHasNone) {
  start();
  answer_with(kCall);
  json body = asked("thinker");
  body["tool_choice"] = "required";
  body["chat_template_kwargs"] = {{"mood", "<think>\n"}};
  EXPECT_EQ(post_json(kUrl, body)["choices"][0]["message"]["tool_calls"].size(), 1u);
}

}  // namespace
}  // namespace troupe::test
