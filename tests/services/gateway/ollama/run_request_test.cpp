// Ollama's requests told as chats and completions: what becomes of each part, and what is refused.
#include "services/gateway/ollama/run_request.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::Json;
using gateway::Parsed;
using gateway::ollama::parse_chat_run;
using gateway::ollama::parse_generate_run;
using gateway::ollama::parse_model_name;
using gateway::ollama::RunRequest;

RunRequest chat(const std::string& members) {
  auto parsed =
      parse_chat_run(R"({"model":"m","messages":[{"role":"user","content":"Hi"}],)" + members + "}");
  EXPECT_TRUE(parsed) << members << ": " << parsed.error().message;
  return parsed ? std::move(*parsed) : RunRequest{};
}

RunRequest generate(const std::string& members) {
  auto parsed = parse_generate_run(R"({"model":"m","prompt":"Hi",)" + members + "}");
  EXPECT_TRUE(parsed) << members << ": " << parsed.error().message;
  return parsed ? std::move(*parsed) : RunRequest{};
}

template <class T>
std::string message_of(const Parsed<T>& parsed) {
  return parsed ? "accepted" : parsed.error().message;
}

std::string refusal(const std::string& members) {
  return message_of(
      parse_chat_run(R"({"model":"m","messages":[{"role":"user","content":"Hi"}],)" + members + "}"));
}

std::string refusal_of_generate(const std::string& members) {
  return message_of(parse_generate_run(R"({"model":"m","prompt":"Hi",)" + members + "}"));
}

Json messages(const std::string& list) {
  auto parsed = parse_chat_run(R"({"model":"m","messages":)" + list + "}");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? parsed->request.input.messages : Json();
}

TEST(RunRequest, StreamsAndSamplesAsOllamaDoesUnlessTold) {
  const auto plain = chat(R"("keep_alive":"5m","unheard_of":[1])");
  EXPECT_TRUE(plain.chat);
  EXPECT_TRUE(plain.request.stream);
  EXPECT_TRUE(plain.request.cut_to_context);
  EXPECT_FALSE(plain.request.max_tokens);
  EXPECT_EQ(plain.request.sampling.temperature, 0.8f);
  EXPECT_EQ(plain.request.sampling.top_k, 40u);
  EXPECT_EQ(plain.request.sampling.top_p, 0.9f);
  EXPECT_EQ(plain.request.sampling.repetition_penalty, 1.0f);
  EXPECT_EQ(plain.context, 0u);
  EXPECT_FALSE(chat(R"("stream":false)").request.stream);
}

TEST(RunRequest, OptionsHaveTheirMeaning) {
  const auto run =
      chat(R"("options":{"temperature":0,"top_k":7,"top_p":0.5,"min_p":0.1,"typical_p":0.9,"seed":11,
      "num_predict":5,"num_ctx":100,"stop":["a","b"],"repeat_penalty":1.5,"repeat_last_n":-1,"presence_penalty":1,
      "frequency_penalty":-1,"num_thread":4,"mirostat":0,"tfs_z":1.0,"penalize_newline":true,"unheard_of":2})");
  const auto& sampling = run.request.sampling;
  EXPECT_EQ(sampling.temperature, 0.0f);
  EXPECT_EQ(sampling.top_k, 7u);
  EXPECT_EQ(sampling.top_p, 0.5f);
  EXPECT_EQ(sampling.min_p, 0.1f);
  EXPECT_EQ(sampling.typical_p, 0.9f);
  EXPECT_EQ(sampling.seed, 11u);
  EXPECT_EQ(sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(sampling.presence_penalty, 1.0f);
  EXPECT_EQ(sampling.frequency_penalty, -1.0f);
  EXPECT_EQ(run.request.max_tokens, 5u);
  EXPECT_EQ(run.request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(run.context, 100u);
}

TEST(RunRequest, WhatIsNotPositiveMeansWithoutLimitOrRandom) {
  const auto run = chat(R"("options":{"num_predict":-1,"seed":-1,"repeat_penalty":1.5,"repeat_last_n":0})");
  EXPECT_FALSE(run.request.max_tokens);
  EXPECT_NE(run.request.sampling.seed, static_cast<std::uint64_t>(-1));
  EXPECT_EQ(run.request.sampling.repetition_penalty, 1.0f);
}

TEST(RunRequest, FormatIsJsonOrASchema) {
  EXPECT_EQ(chat(R"("format":"")").request.grammar.kind, grammar::Kind::none);
  EXPECT_EQ(chat(R"("format":"json")").request.grammar.kind, grammar::Kind::json_object);
  const auto held = generate(R"("format":{"type":"object","properties":{"a":{"type":"integer"}}})");
  EXPECT_EQ(held.request.grammar.kind, grammar::Kind::json_schema);
  EXPECT_EQ(held.request.grammar.text, R"({"type":"object","properties":{"a":{"type":"integer"}}})");
}

TEST(RunRequest, ThinkingIsAskedForWithAWordOrAFlag) {
  EXPECT_TRUE(chat(R"("think":"high")").wants_thinking);
  const auto with = chat(R"("think":true)");
  EXPECT_TRUE(with.wants_thinking);
  EXPECT_EQ(with.request.reasoning, true);
  EXPECT_EQ(with.request.input.kwargs["enable_thinking"], true);
  const auto without = chat(R"("think":false)");
  EXPECT_FALSE(without.wants_thinking);
  EXPECT_EQ(without.request.reasoning, false);
  EXPECT_EQ(without.request.input.kwargs["enable_thinking"], false);
  EXPECT_FALSE(chat(R"("stream":true)").request.reasoning.has_value());
}

TEST(RunRequest, LogprobsOfChatsAndOfRawPrompts) {
  const auto chatted = chat(R"("logprobs":true,"top_logprobs":3)");
  const auto raw = generate(R"("raw":true,"logprobs":true,"top_logprobs":3)");
  for (const auto* run : {&chatted, &raw}) {
    EXPECT_TRUE(run->request.logprobs);
    EXPECT_EQ(run->request.sampling.logprobs, 3u);
  }
  EXPECT_FALSE(chat(R"("top_logprobs":3)").request.logprobs);
}

TEST(RunRequest, CallsGetIdsAndResultsFindThem) {
  const Json told = messages(R"([
      {"role":"user","content":"?"},
      {"role":"assistant","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},
        {"id":"own","function":{"name":"g","arguments":{}}},{"function":{"name":"f"}}]},
      {"role":"tool","tool_name":"g","content":"1"},
      {"role":"tool","tool_name":"f","content":"2"},
      {"role":"tool","content":"3"}])");
  ASSERT_EQ(told.size(), 5u);
  const Json& calls = told[1]["tool_calls"];
  EXPECT_EQ(told[1]["reasoning_content"], "hm");
  EXPECT_EQ(calls[0]["function"]["arguments"], Json::parse(R"({"a":1})"));
  EXPECT_EQ(calls[1]["id"], "own");
  EXPECT_NE(calls[0]["id"], calls[2]["id"]);
  EXPECT_EQ(told[2]["tool_call_id"], "own");
  EXPECT_EQ(told[3]["tool_call_id"], calls[0]["id"]);
  EXPECT_EQ(told[4]["tool_call_id"], calls[2]["id"]);
  EXPECT_EQ(told[4]["name"], "f");
}

TEST(RunRequest, ToolsMayLeaveTheirTypeOut) {
  const auto run =
      chat(R"("tools":[{"function":{"name":"f","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_EQ(run.request.tools.choice, gateway::ToolChoice::automatic);
  ASSERT_EQ(run.request.tools.tools.size(), 1u);
  EXPECT_EQ(run.request.tools.tools[0].name, "f");
}

TEST(RunRequest, APromptIsAChatUnlessItIsRaw) {
  const auto plain = generate(R"("system":"Be brief.")");
  EXPECT_FALSE(plain.chat);
  EXPECT_TRUE(plain.request.chat);
  EXPECT_EQ(plain.request.input.messages, Json::parse(R"([{"role":"system","content":"Be brief."},
                                                           {"role":"user","content":"Hi"}])"));
  const auto raw = generate(R"("raw":true,"suffix":"","template":"")");
  EXPECT_FALSE(raw.request.chat);
  EXPECT_EQ(raw.request.text_prompts, std::vector<std::string>{"Hi"});
}

TEST(RunRequest, NothingToAnswerOnlyLoads) {
  for (const auto& parsed :
       {parse_chat_run(R"({"model":"m"})"), parse_chat_run(R"({"model":"m","messages":[]})"),
        parse_generate_run(R"({"model":"m","keep_alive":0})")}) {
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_TRUE(parsed->only_loads);
    EXPECT_EQ(parsed->request.model, "m");
  }
}

TEST(RunRequest, RefusesInTheWordsOfItsApi) {
  EXPECT_EQ(message_of(parse_chat_run("{}")), "model is required");
  EXPECT_EQ(refusal(R"("options":{"temperature":"x"})"),
            "options.temperature: expected a number, found a string");
  EXPECT_EQ(refusal(R"("options":{"stop":[1]})"), "options.stop[0]: expected a string, found 1");
  EXPECT_EQ(refusal(R"("options":{"mirostat":2})").substr(0, 33), "options.mirostat is not supported");
  EXPECT_EQ(refusal(R"("options":{"repeat_penalty":1.1,"repeat_last_n":64})"),
            "options.repeat_last_n: expected 0 (no penalty) or -1 (over the whole text)");
  EXPECT_EQ(refusal(R"("format":"xml")"), R"(format: expected "json" or a JSON schema)");
  const std::string odd = R"("format":{"type":"object","properties":{"a":{"contains":{}}}})";
  EXPECT_TRUE(refusal(odd).starts_with("format: ")) << refusal(odd);
  EXPECT_EQ(refusal(R"("think":"deeply")"), "think: expected a boolean or one of low, medium, high");
  EXPECT_EQ(refusal_of_generate(R"("suffix":"x")").substr(0, 23), "suffix is not supported");
  EXPECT_EQ(refusal_of_generate(R"("template":"x")").substr(0, 25), "template is not supported");
  EXPECT_EQ(refusal_of_generate(R"("images":["x"])").substr(0, 23), "images is not supported");
  EXPECT_EQ(refusal_of_generate(R"("context":[1])").substr(0, 24), "context is not supported");
  EXPECT_EQ(refusal_of_generate(R"("raw":true,"system":"x")"), "system: a raw prompt has no place for it");
  const auto spoken = [](const std::string& list) {
    return message_of(parse_chat_run(R"({"model":"m","messages":)" + list + "}"));
  };
  EXPECT_EQ(spoken(R"([{"content":"x"}])"), "messages[0].role is required");
  EXPECT_EQ(spoken(R"([{"role":"user","images":["x"]}])").substr(0, 35),
            "messages[0].images is not supported");
  EXPECT_EQ(spoken(R"([{"role":"tool","content":"x"}])"),
            "messages[0]: no call of the assistant's message before waits for this result");
  EXPECT_EQ(spoken(R"([{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}])"),
            "messages[0].tool_calls[0].function.name is required");
  EXPECT_EQ(spoken(R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}])"),
            "messages[0].tool_calls[0].function.arguments: expected an object, found a string");
}

TEST(RunRequest, AModelIsNamedInOneOfTwoWays) {
  EXPECT_EQ(*parse_model_name(R"({"model":"m"})"), "m");
  EXPECT_EQ(*parse_model_name(R"({"name":"n","verbose":true})"), "n");
  EXPECT_EQ(*parse_model_name(R"({"name":"n","model":"m"})"), "m");
  EXPECT_FALSE(parse_model_name("{}"));
}

}  // namespace
}  // namespace troupe::test
