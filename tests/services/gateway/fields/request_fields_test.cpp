// Fields of vLLM's and llama.cpp's clients, from the body to the job and back into the answer.
#include "services/gateway/fields/request_fields.hpp"

#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

class Fields : public EdgeTest {
 protected:
  static json text_body() { return {{"model", "raw"}, {"prompt", "ab"}}; }
  gateway::GenerateJob last() { return dispatcher_.seen().back(); }
  std::string prompt_text() { return *small_tokenizer()->decode(last().prompt, true); }
};

TEST_F(Fields, RulesAndSamplersArriveAsGiven) {
  start();
  json request = text_body();
  request.update({{"min_tokens", 3},
                  {"max_tokens", 9},
                  {"allowed_token_ids", {97, 98}},
                  {"bad_words", {"q"}},
                  {"repeat_penalty", 1.5},
                  {"repeat_last_n", 64},
                  {"top_n_sigma", 1.5},
                  {"xtc_probability", 0.5},
                  {"xtc_threshold", 0.25},
                  {"dynatemp_range", 0.5},
                  {"dynatemp_exponent", 2},
                  {"dry_multiplier", 0.75},
                  {"dry_base", 2},
                  {"dry_allowed_length", 4},
                  {"dry_penalty_last_n", 100},
                  {"dry_sequence_breakers", {"#"}},
                  {"cache_prompt", true},
                  {"mirostat", 0},
                  {"spaces_between_special_tokens", false}});
  post_json("/v1/completions", request);
  const gateway::GenerateJob job = last();
  EXPECT_EQ(job.rules.min_tokens, 3u);
  EXPECT_EQ(job.rules.allowed, (std::vector<TokenId>{97, 98}));
  EXPECT_EQ(job.rules.bad_words, (std::vector<std::vector<TokenId>>{{'q'}}));
  EXPECT_EQ(job.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(job.sampling.repeat_last_n, 64);
  EXPECT_EQ(job.sampling.top_n_sigma, 1.5f);
  EXPECT_EQ(job.sampling.xtc_probability, 0.5f);
  EXPECT_EQ(job.sampling.xtc_threshold, 0.25f);
  EXPECT_EQ(job.sampling.dynatemp_range, 0.5f);
  EXPECT_EQ(job.sampling.dynatemp_exponent, 2.0f);
  EXPECT_EQ(job.sampling.dry, (DryParams{0.75f, 2.0f, 4, 100, {'#'}, {}}));
  post_json("/v1/completions", text_body());
  EXPECT_FALSE(last().rules.any());
  request = text_body();
  request["top_n_sigma"] = -1;
  request["dry_multiplier"] = 1;
  post_json("/v1/completions", request);
  EXPECT_EQ(last().sampling.top_n_sigma, 0.0f) << "llama.cpp's off";
  EXPECT_EQ(last().sampling.dry.breakers,
            (std::vector<TokenId>{'\n', '"', '*', ':', last().sampling.dry.breakers.back()}))
      << "its breakers, and two newlines as one token";
}

TEST_F(Fields, AServiceTierIsAPriorityAndIsToldInTheAnswer) {
  start();
  const auto tier = [&](json asked) {
    json request = chat_body();
    if (!asked.is_null()) request["service_tier"] = std::move(asked);
    const json answer = post_json("/v1/chat/completions", request);
    return std::pair(answer.value("service_tier", ""), last().priority);
  };
  EXPECT_EQ(tier(nullptr), std::pair(std::string(), 0));
  EXPECT_EQ(tier("auto"), std::pair(std::string("default"), 0));
  EXPECT_EQ(tier("default"), std::pair(std::string("default"), 0));
  EXPECT_LT(tier("flex").second, 0);
  EXPECT_GT(tier("priority").second, 0);
  EXPECT_EQ(tier("priority").first, "priority");
  json request = chat_body();
  request["service_tier"] = "flex";
  for (const json& event : stream("/v1/chat/completions", request)) EXPECT_EQ(event["service_tier"], "flex");
}

/// Choices "0", "11", "222", ... whose tokens are ever less likely, but for the third one.
ScriptedAnswer ranked(const gateway::GenerateJob& job) {
  ScriptedAnswer answer;
  for (std::uint32_t i = 0; i < job.choices; ++i) {
    auto tokens = byte_tokens(std::string(i + 1, static_cast<char>('0' + i)));
    for (GeneratedToken& token : tokens) token.logprob = i == 2 ? -0.25f : -1.0f - static_cast<float>(i);
    answer.choices.push_back(std::move(tokens));
  }
  answer.finish = FinishReason::length;
  return answer;
}

TEST_F(Fields, BestOfTellsTheLikeliestByTheToken) {
  start();
  dispatcher_.set_script(ranked);
  json request = text_body();
  request["prompt"] = {"ab", "cd"};
  request.update({{"n", 2}, {"best_of", 4}, {"troupe", {{"token_ids", true}}}});
  const json answer = post_json("/v1/completions", request);
  ASSERT_EQ(answer["choices"].size(), 4u);
  for (const std::size_t prompt : {0u, 1u}) {
    EXPECT_EQ(answer["choices"][2 * prompt]["text"], "222");
    EXPECT_EQ(answer["choices"][2 * prompt]["troupe"]["token_ids"], json({'2', '2', '2'}));
    EXPECT_EQ(answer["choices"][2 * prompt + 1]["text"], "0");
  }
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_TRUE(answer["choices"][i]["logprobs"].is_null());
  }
  EXPECT_EQ(answer["usage"]["completion_tokens"], 2 * (1 + 2 + 3 + 4)) << "what was made";
  EXPECT_EQ(last().choices, 4u);
  EXPECT_TRUE(last().sampling.report_logprobs);
  request["best_of"] = 2;
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "0")
      << "as many as are told come as they are";
}

TEST_F(Fields, AStopStringMayBePartOfTheText) {
  start();
  answer_with("Hello world", 3);
  json request = chat_body();
  request["stop"] = {"wo"};
  EXPECT_EQ(post_json("/v1/chat/completions", request)["choices"][0]["message"]["content"], "Hello ");
  request["include_stop_str_in_output"] = true;
  request["logprobs"] = true;
  const json choice = post_json("/v1/chat/completions", request)["choices"][0];
  EXPECT_EQ(choice["message"]["content"], "Hello wo");
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["logprobs"]["content"].size(), 8u);
  std::string streamed;
  for (const json& event : stream("/v1/chat/completions", request))
    streamed += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(streamed, "Hello wo");
}

TEST_F(Fields, AnEndTokenWithATextIsPartOfItOnlyWhenAskedFor) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("ab!")};
    return answer;
  });
  json request = text_body();
  request["stop_token_ids"] = {'!'};
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "ab");
  request["include_stop_str_in_output"] = true;
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "ab!");
}

TEST_F(Fields, StopStringsWaitForTheLeastLength) {
  start();
  answer_with("xaxbxc");
  json request = text_body();
  request["stop"] = {"x"};
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "");
  request["min_tokens"] = 3;
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "xaxb");
}

TEST_F(Fields, SpecialTokensShowWhenTheyAreNotSkipped) {
  start();
  const TokenId begin = small_tokenizer()->bos();
  dispatcher_.set_script([begin](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    answer.choices = {{{'a', 0, {}}, {begin, 0, {}}, {'b', 0, {}}, {job.stop_tokens.back(), 0, {}}}};
    return answer;
  });
  json request = text_body();
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "ab");
  request["skip_special_tokens"] = false;
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "a<|start|>b");
  request["include_stop_str_in_output"] = true;
  EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "a<|start|>b<|im_end|>");
}

ScriptedAnswer scored(const gateway::GenerateJob& job) {
  ScriptedAnswer answer;
  for (const TokenId id : job.prompt)
    answer.prompt_logprobs.push_back({id, -2.0f, {{'x', -0.5f}, {id, -2.0f}, {'y', -3.0f}}});
  GeneratedToken token{'z', -0.5f, {{'z', -0.5f}, {'q', -1.5f}, {'r', -2.5f}}};
  token.top.resize(job.sampling.logprobs);
  answer.choices.assign(job.choices, {token});
  answer.finish = FinishReason::length;
  return answer;
}

TEST_F(Fields, PromptLogprobsComeWithEachPrompt) {
  start();
  dispatcher_.set_script(scored);
  json request = text_body();
  request["prompt"] = {"ab", "c"};
  request.update({{"prompt_logprobs", 3}, {"n", 2}, {"logprobs", 1}});
  const json answer = post_json("/v1/completions", request);
  EXPECT_TRUE(last().prompt_logprobs);
  EXPECT_EQ(last().sampling.logprobs, 3u);
  ASSERT_EQ(answer["choices"].size(), 4u);
  EXPECT_EQ(answer["choices"][0]["prompt_logprobs"], answer["choices"][1]["prompt_logprobs"]);
  EXPECT_EQ(answer["choices"][0]["prompt_logprobs"][1]["98"]["rank"], 2);
  EXPECT_EQ(answer["choices"][0]["prompt_logprobs"][1].size(), 3u);
  EXPECT_EQ(answer["choices"][2]["prompt_logprobs"], json::array({nullptr}));
  EXPECT_EQ(answer["choices"][0]["logprobs"]["top_logprobs"][0].size(), 1u) << "the answer's own number";

  json chat = chat_body();
  chat["prompt_logprobs"] = 0;
  const json said = post_json("/v1/chat/completions", chat);
  EXPECT_EQ(said["prompt_logprobs"].size(), last().prompt.size());
  EXPECT_EQ(said["prompt_logprobs"][1].size(), 1u);
  EXPECT_TRUE(said["choices"][0]["logprobs"].is_null());
  EXPECT_FALSE(post_json("/v1/chat/completions", chat_body()).contains("prompt_logprobs"));
}

TEST_F(Fields, AnAnswerMayGoOnWithTheLastMessage) {
  start();
  json request = chat_body("Hi");
  request["messages"].push_back({{"role", "assistant"}, {"content", "im_end <|im_end|> and "}});
  request["continue_final_message"] = true;
  const json answer = post_json("/v1/chat/completions", request);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Hello world") << "what was given is not told again";
  EXPECT_EQ(prompt_text(), "<|start|>user\nHi<|im_end|>\n<|start|>assistant\nim_end <|im_end|> and ");
  EXPECT_EQ(std::ranges::count(last().prompt, small_tokenizer()->eos()), 1)
      << "its end is the user's message's";
  const json tokens = post_json("/tokenize", request);
  EXPECT_EQ(tokens["count"], last().prompt.size());
}

TEST_F(Fields, AContinuedReasoningIsStillReasoning) {
  start();
  answer_with("so.</think>Yes");
  json request = chat_body("Hi");
  request["messages"].push_back({{"role", "assistant"}, {"content", "<think>\nWell, "}});
  request.update({{"continue_final_message", true}, {"reasoning_format", "deepseek"}});
  const json message = post_json("/v1/chat/completions", request)["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "so.");
  EXPECT_EQ(message["content"], "Yes");
}

TEST_F(Fields, APredictionIsGivenToTheCopyDrafterUnlessAnotherIsNamed) {
  start();
  json request = chat_body();
  request["prediction"] = {{"type", "content"}, {"content", {{{"type", "text"}, {"text", "hello"}}}}};
  post_json("/v1/chat/completions", request);
  EXPECT_EQ(*small_tokenizer()->decode(last().reference), "hello");
  EXPECT_EQ(last().drafter, "input-copy");
  request["troupe"]["speculation"]["drafter"] = "off";
  post_json("/v1/chat/completions", request);
  EXPECT_EQ(last().drafter, "off");
  request = chat_body();
  request["prediction"] = {{"type", "content"}, {"content", ""}};
  post_json("/v1/chat/completions", request);
  EXPECT_TRUE(last().reference.empty());
  EXPECT_EQ(last().drafter, "");
}

TEST(ReasoningEffort, BecomesAVariableOfTheTemplate) {
  const auto kwargs = [](json more) {
    json body = chat_body();
    body.update(more);
    const auto request = gateway::parse_chat(body.dump());
    EXPECT_TRUE(request) << request.error().message;
    return json(request->input.kwargs);
  };
  EXPECT_EQ(kwargs(json::object()), json::object());
  EXPECT_EQ(kwargs({{"reasoning_effort", "high"}, {"verbosity", "low"}}),
            (json{{"reasoning_effort", "high"}, {"verbosity", "low"}}));
  EXPECT_EQ(kwargs({{"reasoning_effort", "none"}}), (json{{"enable_thinking", false}}));
  EXPECT_EQ(kwargs({{"reasoning_effort", "high"}, {"chat_template_kwargs", {{"reasoning_effort", "low"}}}}),
            (json{{"reasoning_effort", "low"}}))
      << "what is said of the variable itself stands";
}

}  // namespace
}  // namespace troupe::test
