// Anthropic's requests told as chats: what becomes of each part, and what is refused in which words.
#include "services/gateway/anthropic/message_request.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::Json;
using gateway::anthropic::parse_count;
using gateway::anthropic::parse_message;
using gateway::anthropic::Purpose;
using gateway::anthropic::to_chat;

/// A valid body with more or other members.
Json body(const std::string& members) {
  Json out = Json::parse(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]})");
  out.update(Json::parse("{" + members + "}"));
  return out;
}

Json chat_of(const std::string& members) {
  const auto chat = to_chat(body(members), Purpose::answer);
  EXPECT_TRUE(chat) << chat.error().message;
  return chat ? *chat : Json();
}

/// The messages of a conversation.
Json messages_of(const std::string& messages) {
  return chat_of("\"messages\":" + messages)["messages"];
}

std::string refusal(const std::string& members) {
  const auto parsed = parse_message(body(members).dump());
  return parsed ? "accepted" : parsed.error().message;
}

std::string refusal_of_messages(const std::string& messages) {
  return refusal("\"messages\":" + messages);
}

TEST(MessageRequest, IsTheSameChat) {
  const Json chat = chat_of(R"("system":"Be brief.","temperature":0.5,"top_p":0.9,"top_k":3,"stream":true,
      "stop_sequences":["END"],"metadata":{"user_id":"u"},"service_tier":"auto","thinking":{"type":"disabled"},
      "output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}})");
  EXPECT_EQ(chat, Json::parse(R"({"model":"m","max_tokens":9,
      "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],
      "chat_template_kwargs":{"enable_thinking":false},
      "response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}},
      "user":"u","temperature":0.5,"top_p":0.9,"top_k":3,"stream":true,"stop":["END"]})"));
}

TEST(MessageRequest, BlocksOfTextAreLines) {
  EXPECT_EQ(chat_of(R"("system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                                 {"type":"text","text":"b"}])")["messages"][0]["content"],
            "a\nb");
  EXPECT_EQ(messages_of(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
                            {"role":"user","content":"c"},{"role":"assistant","content":"d"},
                            {"role":"user","content":"e"}])"),
            Json::parse(R"([{"role":"user","content":"a\nb\nc"},{"role":"assistant","content":"d"},
                            {"role":"user","content":"e"}])"));
}

TEST(MessageRequest, CallsAndResultsKeepTheirIds) {
  EXPECT_EQ(messages_of(R"([
      {"role":"user","content":"Weather?"},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"redacted_thinking","data":"x"},{"type":"text","text":"One moment."},
        {"type":"tool_use","id":"t1","name":"weather","input":{"city":"Köln"}},
        {"type":"tool_use","id":"t2","name":"time","input":{}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t2","content":"noon"},
        {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"away"}]},
        {"type":"text","text":"Well?"}]}])"),
            Json::parse(R"([
      {"role":"user","content":"Weather?"},
      {"role":"assistant","content":"One moment.","reasoning_content":"hm","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Köln\"}"}},
        {"id":"t2","type":"function","function":{"name":"time","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"t2","content":"noon"},
      {"role":"tool","tool_call_id":"t1","content":"Error: away"},
      {"role":"user","content":"Well?"}])"));
}

TEST(MessageRequest, ToolsAndTheirChoice) {
  const std::string tools = R"("tools":[{"name":"f","description":"d","strict":true,"type":"custom",
      "input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}])";
  EXPECT_EQ(chat_of(tools)["tools"], Json::parse(R"([{"type":"function","function":
      {"name":"f","description":"d","strict":true,"parameters":{"type":"object"}}}])"));
  const auto choice = [&](const std::string& given) { return chat_of(tools + ",\"tool_choice\":" + given); };
  EXPECT_EQ(choice(R"({"type":"auto"})")["tool_choice"], "auto");
  EXPECT_EQ(choice(R"({"type":"none"})")["tool_choice"], "none");
  const Json any = choice(R"({"type":"any","disable_parallel_tool_use":true})");
  EXPECT_EQ(any["tool_choice"], "required");
  EXPECT_EQ(any["parallel_tool_calls"], false);
  EXPECT_EQ(choice(R"({"type":"tool","name":"f"})")["tool_choice"],
            Json::parse(R"({"type":"function","function":{"name":"f"}})"));
}

TEST(MessageRequest, IsReadByTheParserOfChats) {
  const auto parsed = parse_message(body(R"("temperature":0.25,"tools":[{"name":"f","input_schema":{}}],
      "tool_choice":{"type":"auto","disable_parallel_tool_use":true},
      "thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"})")
                                        .dump());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(parsed->request.chat);
  EXPECT_EQ(parsed->request.max_tokens, 9u);
  EXPECT_TRUE(parsed->request.cut_to_context);
  EXPECT_EQ(parsed->request.sampling.temperature, 0.25f);
  EXPECT_EQ(parsed->request.tools.choice, gateway::ToolChoice::automatic);
  EXPECT_EQ(parsed->request.input.kwargs["enable_thinking"], true);
  EXPECT_TRUE(parsed->one_call);
  EXPECT_FALSE(parsed->shows_thinking);
}

TEST(MessageRequest, NoTokensAtAllComputeThePrompt) {
  const auto parsed = parse_message(body(R"("max_tokens":0)").dump());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->request.max_tokens, 0u);
}

TEST(MessageRequest, CountingTakesNoLength) {
  Json counted = body("");
  EXPECT_FALSE(parse_count(counted.dump()));
  counted.erase("max_tokens");
  const auto parsed = parse_count(counted.dump());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->model, "m");
  EXPECT_EQ(parsed->input.messages.size(), 1u);
}

TEST(MessageRequest, RefusesInTheWordsOfItsApi) {
  EXPECT_EQ(refusal(R"("max_tokens":null)"), "max_tokens is required");
  EXPECT_EQ(refusal(R"("max_tokens":-1)"), "max_tokens: expected an integer from 0 to 2147483647, found -1");
  EXPECT_EQ(refusal(R"("model":null)"), "model is required");
  EXPECT_EQ(refusal(R"("top_k":"x")"), "top_k: expected an integer, found a string");
  EXPECT_EQ(refusal(R"("stop_sequences":[3])"), "stop_sequences[0]: expected a string, found 3");
  EXPECT_EQ(refusal(R"("n":2)").substr(0, 18), "'n' is unknown her");
  EXPECT_EQ(refusal(R"("container":"c")").substr(0, 26), "container is not supported");
  EXPECT_EQ(refusal(R"("thinking":{"type":"a"})"),
            "thinking.type: expected one of enabled, adaptive, disabled");
  EXPECT_EQ(refusal(R"("tool_choice":{"type":"any"})"), "tool_choice: only allowed when tools are given");
  EXPECT_EQ(refusal(R"("tools":[{"type":"web_search_20250305","name":"web_search","max_uses":1}])"),
            "tools[0].type: only tools that the client runs ('custom') are supported");
  EXPECT_EQ(refusal(R"("tools":[{"name":"a b","input_schema":{}}])"),
            "tools[0].name: expected 1 to 64 letters, digits, underscores and dashes");
  EXPECT_EQ(refusal(R"("tools":[{"name":"f"}])"), "tools[0].input_schema is required");
  EXPECT_EQ(refusal(R"("tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"g"})"),
            "tool_choice.name: none of the tools has this name");
  const std::string odd = R"({"type":"object","properties":{"a":{"contains":{}}}})";
  const std::string tool =
      R"("tools":[{"name":"f","input_schema":)" + odd + R"(}],"tool_choice":{"type":"any"})";
  EXPECT_TRUE(refusal(tool).starts_with("tools[0].input_schema: ")) << refusal(tool);
  const std::string form = R"("output_config":{"format":{"type":"json_schema","schema":)" + odd + "}}";
  EXPECT_TRUE(refusal(form).starts_with("output_config.format.schema: ")) << refusal(form);
}

TEST(MessageRequest, RefusesConversationsThatAreNone) {
  const std::string called = R"([{"role":"user","content":"x"},
      {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},)";
  const std::string result = R"({"type":"tool_result","tool_use_id":"t","content":"r"})";
  EXPECT_EQ(refusal_of_messages("[]"), "messages: expected a message of the user at the end");
  EXPECT_EQ(refusal_of_messages(R"([{"role":"tool","content":"x"}])"),
            "messages[0].role: expected one of user, assistant, system");
  EXPECT_EQ(refusal_of_messages(R"([{"role":"user"}])"), "messages[0].content is required");
  EXPECT_EQ(refusal_of_messages(R"([{"role":"user","content":[{"type":"image","source":{}}]}])"),
            "messages[0].content[0].type: images are not supported");
  EXPECT_EQ(refusal_of_messages(R"([{"role":"user","content":[{"type":"document","source":{}}]}])"),
            "messages[0].content[0].type: blocks of type 'document' are not supported");
  EXPECT_EQ(refusal_of_messages("[{\"role\":\"user\",\"content\":[" + result + "]}]"),
            "messages[0].content[0].tool_use_id: no tool_use block of the message before waits for a result "
            "under this id");
  EXPECT_EQ(refusal_of_messages(called + R"({"role":"user","content":"no"}])"),
            "messages[2].content: the tool_use block 't' needs its tool_result at the beginning of the next "
            "user message");
  EXPECT_EQ(refusal_of_messages(called + "{\"role\":\"user\",\"content\":[" + result + "," + result + "]}]"),
            "messages[2].content[1].tool_use_id: no tool_use block of the message before waits for a result "
            "under this id");
  EXPECT_EQ(refusal_of_messages(R"([{"role":"user","content":"x"},{"role":"assistant","content":"I"}])")
                .substr(0, 62),
            "messages: the conversation must end with a user message; going");
  EXPECT_EQ(refusal_of_messages(called + "{\"role\":\"user\",\"content\":[" + result + "]}]"), "accepted");
}

}  // namespace
}  // namespace troupe::test
