// A request as a chat that asks the same: fields, tools, forms, what is stored, errors in this API's words.
#include "services/gateway/responses/request.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::ApiError;
using gateway::GenerateRequest;
using gateway::Json;
using gateway::Parsed;
using gateway::ToolChoice;
using gateway::responses::item_id;
using gateway::responses::read_request;
using gateway::responses::ResponseRequest;

const RequestId kId{1, 2}, kBefore{3, 4};

Json body(const char* more = "{}") {
  Json out = Json::parse(R"({"model":"small","input":"Hi"})");
  out.update(Json::parse(more));
  return out;
}

struct Made {
  ResponseRequest request;
  GenerateRequest chat;
};

Parsed<Made> make(const Json& asked, const Json* before = nullptr) {
  auto request = read_request(asked, kId);
  if (!request) return tl::unexpected<ApiError>(request.error());
  const auto stored = [before](const RequestId& id) { return id == kBefore ? before : nullptr; };
  auto chat = to_chat(*request, stored, {});
  if (!chat) return tl::unexpected<ApiError>(chat.error());
  return Made{std::move(*request), std::move(*chat)};
}

Made made(const char* more, const Json* before = nullptr) {
  auto out = make(body(more), before);
  EXPECT_TRUE(out) << more << (out ? "" : out.error().message);
  return out ? std::move(*out) : Made{};
}

void expect_refused(const char* more, const std::string& param, const std::string& code = "invalid_value") {
  const auto out = make(body(more));
  ASSERT_FALSE(out) << more;
  EXPECT_EQ(out.error().param, param) << out.error().message;
  EXPECT_EQ(out.error().code, code) << out.error().message;
}

TEST(ResponseRequestTest, FieldsBecomeThoseOfAChat) {
  const Made out = made(
      R"({"instructions":"Be brief.","temperature":0.5,"top_p":0.25,"max_output_tokens":7,"stream":true,"seed":11,
          "prompt_cache_key":"k","top_k":3,"include":["message.output_text.logprobs"],"top_logprobs":2,"store":false,
          "service_tier":"auto","reasoning":{"effort":"low","summary":"auto"},"metadata":{"a":"b"},"truncation":"disabled"})");
  const GenerateRequest& chat = out.chat;
  EXPECT_TRUE(chat.chat && chat.stream && chat.include_usage && chat.logprobs);
  EXPECT_EQ(chat.max_tokens, 7u);
  EXPECT_EQ(chat.sampling.temperature, 0.5f);
  EXPECT_EQ(chat.sampling.top_p, 0.25f);
  EXPECT_EQ(chat.sampling.top_k, 3u);
  EXPECT_EQ(chat.sampling.seed, 11u);
  EXPECT_EQ(chat.sampling.logprobs, 2u);
  EXPECT_NE(chat.session, 0u);
  ASSERT_EQ(chat.input.messages.size(), 2u);
  EXPECT_EQ(chat.input.messages[0]["content"], "Be brief.");
  EXPECT_EQ(chat.input.messages[1]["content"], "Hi");
  EXPECT_EQ(chat.input.kwargs["reasoning_effort"], "low");
  EXPECT_FALSE(out.request.settings.store);
  const Json& echo = out.request.settings.echo;
  EXPECT_EQ(echo["temperature"], 0.5);
  EXPECT_EQ(echo["max_output_tokens"], 7);
  EXPECT_EQ(echo["metadata"]["a"], "b");
  EXPECT_EQ(echo["reasoning"]["effort"], "low");
  EXPECT_EQ(echo["text"]["format"]["type"], "text");
}

TEST(ResponseRequestTest, WhatIsNotSaidHasItsDefault) {
  const Made out = made("{}");
  EXPECT_TRUE(out.request.settings.store);
  EXPECT_FALSE(out.chat.stream);
  const Json& echo = out.request.settings.echo;
  EXPECT_EQ(echo["temperature"], 1.0);
  EXPECT_EQ(echo["tool_choice"], "auto");
  EXPECT_EQ(echo["parallel_tool_calls"], true);
  EXPECT_EQ(echo["tools"], Json::array());
  EXPECT_TRUE(echo["instructions"].is_null());
  EXPECT_TRUE(echo["previous_response_id"].is_null());
}

constexpr const char* kTools = R"({"tools":[
  {"type":"function","name":"weather","description":"Tells it.","parameters":{"type":"object","properties":{"city":{"type":"string"}},
   "required":["city"],"additionalProperties":false}},
  {"type":"function","name":"time","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}},
  {"type":"function","name":"free","strict":false,"parameters":{"type":"object","properties":{},"additionalProperties":false}}]})";

TEST(ResponseRequestTest, ToolsAreStrictWhereTheyCanBe) {
  const Made out = made(kTools);
  ASSERT_EQ(out.chat.tools.tools.size(), 3u);
  EXPECT_EQ(out.chat.tools.choice, ToolChoice::automatic);
  EXPECT_TRUE(out.chat.tools.tools[0].strict);
  EXPECT_FALSE(out.chat.tools.tools[1].strict);  // its properties are not all required
  EXPECT_FALSE(out.chat.tools.tools[2].strict);
  EXPECT_EQ(out.chat.input.tools[0]["function"]["description"], "Tells it.");
  const Json& echo = out.request.settings.echo["tools"];
  EXPECT_EQ(echo[0]["name"], "weather");
  EXPECT_EQ(echo[0]["strict"], true);
  EXPECT_EQ(echo[1]["strict"], false);
}

Json with_tools(const char* more) {
  Json out = body(kTools);
  out.update(Json::parse(more));
  return out;
}

TEST(ResponseRequestTest, ChoicesOfToolsAreThoseOfAChat) {
  const auto named = make(with_tools(R"({"tool_choice":{"type":"function","name":"time"}})"));
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->chat.tools.choice, ToolChoice::named);
  EXPECT_EQ(named->chat.tools.name, "time");
  const auto required = make(with_tools(R"({"tool_choice":"required","parallel_tool_calls":false})"));
  ASSERT_TRUE(required);
  EXPECT_EQ(required->chat.tools.choice, ToolChoice::required);
  EXPECT_FALSE(required->chat.tools.parallel);
  const auto allowed = make(with_tools(
      R"({"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"free"}]}})"));
  ASSERT_TRUE(allowed) << allowed.error().message;
  ASSERT_EQ(allowed->chat.tools.tools.size(), 1u);
  EXPECT_EQ(allowed->chat.tools.tools[0].name, "free");
  EXPECT_EQ(allowed->chat.input.tools.size(), 3u);  // all are shown
}

TEST(ResponseRequestTest, FormsAreThoseOfAChat) {
  EXPECT_EQ(made(R"({"text":{"format":{"type":"text"},"verbosity":"medium"}})").chat.grammar.kind,
            grammar::Kind::none);
  EXPECT_EQ(made(R"({"text":{"format":{"type":"json_object"}}})").chat.grammar.kind,
            grammar::Kind::json_object);
  const Made schema = made(
      R"({"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"integer"}},
          "required":["a"],"additionalProperties":false}}}})");
  EXPECT_EQ(schema.chat.grammar.kind, grammar::Kind::json_schema);
  EXPECT_EQ(schema.request.settings.echo["text"]["format"]["name"], "n");
}

TEST(ResponseRequestTest, ErrorsNameTheFieldsOfThisApi) {
  expect_refused(R"({"input":null})", "input", "missing_required_parameter");
  expect_refused(R"({"input":7})", "input", "invalid_type");
  expect_refused(R"({"model":null})", "model", "missing_required_parameter");
  expect_refused(R"({"messages":[{"role":"user"}]})", "messages", "unknown_parameter");
  expect_refused(R"({"n":2})", "n", "unknown_parameter");
  expect_refused(R"({"max_tokens":2})", "max_tokens", "unknown_parameter");
  expect_refused(R"({"colour":"red"})", "colour", "unknown_parameter");
  expect_refused(R"({"background":true})", "background", "unsupported_parameter");
  expect_refused(R"({"truncation":"auto"})", "truncation", "unsupported_parameter");
  expect_refused(R"({"conversation":"conv_1"})", "conversation", "unsupported_parameter");
  expect_refused(R"({"prompt":{"id":"p"}})", "prompt", "unsupported_parameter");
  expect_refused(R"({"max_output_tokens":0})", "max_output_tokens");
  expect_refused(R"({"temperature":3})", "temperature");
  expect_refused(R"({"top_logprobs":3})", "top_logprobs");
  expect_refused(R"({"include":["everything"]})", "include[0]");
  expect_refused(R"({"previous_response_id":"abc"})", "previous_response_id");
  expect_refused(R"({"metadata":{"a":7}})", "metadata.a");
  expect_refused(R"({"tools":[{"type":"web_search"}]})", "tools[0].type", "unsupported_parameter");
  expect_refused(R"({"tools":[{"type":"function"}]})", "tools[0].name", "missing_required_parameter");
  expect_refused(R"({"tools":[{"type":"function","name":"a b"}]})", "tools[0].name");
  expect_refused(R"({"tools":[{"type":"function","name":"f","parameters":{"type":"array"}}]})",
                 "tools[0].parameters.type");
  expect_refused(R"({"tools":[{"type":"function","function":{"name":"f"}}]})", "tools[0].function",
                 "unknown_parameter");
  expect_refused(R"({"tool_choice":{"type":"file_search"}})", "tool_choice.type", "unsupported_parameter");
  expect_refused(R"({"text":{"format":{"type":"xml"}}})", "text.format.type");
  expect_refused(R"({"text":{"format":{"type":"json_schema","name":"n"}}})", "text.format.schema",
                 "missing_required_parameter");
  expect_refused(
      R"({"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"a":{"contains":{}}}}}}})",
      "text.format.schema");
}

TEST(ResponseRequestTest, ARenamedErrorSaysItInItsMessageToo) {
  const ApiError error = gateway::responses::renamed(
      {400, "invalid_value", "tools[3].function.name", "tools[3].function.name: no", 0});
  EXPECT_EQ(error.param, "tools[3].name");
  EXPECT_EQ(error.message, "tools[3].name: no");
  EXPECT_EQ(gateway::responses::renamed({400, "x", "max_tokens", "too many", 0}).param, "max_output_tokens");
  EXPECT_EQ(gateway::responses::renamed({400, "x", "seed", "seed: no", 0}).message, "seed: no");
}

Json stored() {
  Json out = Json::object();
  out["history"] = *gateway::responses::read_items("Before that", kBefore);
  out["input"] = *gateway::responses::read_items("My name is Ada.", kBefore);
  out["response"] = Json::parse(R"({"output":[{"type":"message","status":"completed","role":"assistant",
    "content":[{"type":"output_text","text":"Hello Ada."}]}]})");
  out["response"]["output"][0]["id"] = item_id("msg", kBefore, true, 0);
  return out;
}

TEST(ResponseRequestTest, APreviousResponseIsWhatCameBefore) {
  const Json before = stored();
  const std::string more =
      R"({"previous_response_id":")" + gateway::responses::response_id(kBefore) + R"("})";
  const Made out = made(more.c_str(), &before);
  const Json& messages = out.chat.input.messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0]["content"], "Before that");
  EXPECT_EQ(messages[1]["content"], "My name is Ada.");
  EXPECT_EQ(messages[2]["content"], "Hello Ada.");
  EXPECT_EQ(messages[2]["role"], "assistant");
  EXPECT_EQ(messages[3]["content"], "Hi");
  EXPECT_EQ(out.request.settings.history.size(), 3u);
  EXPECT_EQ(out.request.settings.input.size(), 1u);
  expect_refused(more.c_str(), "previous_response_id", "previous_response_not_found");
}

TEST(ResponseRequestTest, AReferenceIsTheItemThatItNames) {
  const Json before = stored();
  const std::string id = item_id("msg", kBefore, true, 0);
  const std::string more =
      R"({"input":[{"type":"item_reference","id":")" + id + R"("},{"role":"user","content":"Who?"}]})";
  const Made out = made(more.c_str(), &before);
  ASSERT_EQ(out.chat.input.messages.size(), 2u);
  EXPECT_EQ(out.chat.input.messages[0]["content"], "Hello Ada.");
  EXPECT_EQ(out.request.settings.input[0]["type"], "message");
  EXPECT_EQ(out.request.referred, std::vector<RequestId>{kBefore});
  const auto refused = make(body(more.c_str()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 404);
  expect_refused(R"({"input":[{"type":"item_reference","id":"msg_1"}]})", "input[0].id");
}

TEST(ResponseRequestTest, OnlySoManyResponsesAreReferredTo) {
  Json asked = body();
  asked["input"] = Json::array();
  for (std::uint64_t i = 0; i <= gateway::responses::kMostReferred; ++i)
    asked["input"].push_back(Json{{"type", "item_reference"}, {"id", item_id("msg", {9, i}, true, 0)}});
  const auto refused = read_request(asked, kId);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "input");
}

}  // namespace
}  // namespace troupe::test
