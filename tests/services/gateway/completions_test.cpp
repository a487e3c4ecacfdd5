#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

class Completions : public EdgeTest {
 protected:
  static json body(json prompt = "ab") { return {{"model", "raw"}, {"prompt", std::move(prompt)}}; }
};

TEST_F(Completions, ContinueRawText) {
  start();
  const json answer = post_json("/v1/completions", body());
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("cmpl-"));
  EXPECT_EQ(answer["choices"][0]["text"], "Hello world");
  EXPECT_EQ(dispatcher_.seen()[0].prompt, (std::vector<TokenId>{'a', 'b'}));
  EXPECT_EQ(dispatcher_.seen()[0].max_tokens, kContext - 2);
}

TEST_F(Completions, TakeIdsAndArraysWithIndicesByPromptThenChoice) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    for (std::uint32_t i = 0; i < job.choices; ++i) {
      const char prompt = static_cast<char>(job.prompt[0]);
      answer.choices.push_back(byte_tokens(std::string(1, prompt) + std::to_string(i)));
    }
    answer.finish = FinishReason::length;
    return answer;
  });
  json request = body({"a", "b"});
  request["n"] = 2;
  const auto texts = [](const json& answer) {
    std::vector<std::string> out;
    for (const json& choice : answer["choices"]) out.push_back(choice["text"]);
    return out;
  };
  const std::vector<std::string> expected{"a0", "a1", "b0", "b1"};
  const json whole = post_json("/v1/completions", request);
  EXPECT_EQ(texts(whole), expected);
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 2);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 8);
  request["prompt"] = {{97}, {98}};
  EXPECT_EQ(texts(post_json("/v1/completions", request)), expected);

  std::vector<std::string> streamed(4);
  for (const json& chunk : stream("/v1/completions", request)) {
    const json& choice = chunk["choices"][0];
    streamed.at(choice["index"]) += choice["text"].get<std::string>();
  }
  EXPECT_EQ(streamed, expected);
}

TEST_F(Completions, ADrafterIsPassedOnAndUsageTellsWhatCameTrue) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    answer.choices.assign(job.choices, byte_tokens("abcdefgh"));
    if (job.drafter != "off") answer.drafts = {10, 6};
    return answer;
  });
  json request = body();
  request["troupe"]["speculation"]["drafter"] = "prompt-lookup";
  const json drafted = post_json("/v1/completions", request);
  EXPECT_EQ(dispatcher_.seen().back().drafter, "prompt-lookup");
  EXPECT_EQ(drafted["usage"]["completion_tokens_details"]["accepted_prediction_tokens"], 6);
  EXPECT_EQ(drafted["usage"]["completion_tokens_details"]["rejected_prediction_tokens"], 4);
  request["troupe"]["speculation"]["drafter"] = "off";
  EXPECT_FALSE(post_json("/v1/completions", request)["usage"].contains("completion_tokens_details"));
  EXPECT_EQ(post_json("/v1/completions", body())["choices"][0]["text"], drafted["choices"][0]["text"]);
  EXPECT_EQ(dispatcher_.seen().back().drafter, "") << "the worker's option decides";
}

TEST_F(Completions, HypothesesOfABeamSearchComeWithTheirScores) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    for (std::uint32_t i = 0; i < job.choices; ++i)
      answer.choices.push_back(byte_tokens(i == 0 ? "best" : "next"));
    if (job.beam.width > 0) answer.scores = {-0.5, -0.75};
    return answer;
  });
  json request = body();
  request["n"] = 2;
  request["troupe"]["beam"] = {{"width", 4},
                               {"groups", 2},
                               {"diversity_penalty", 0.5},
                               {"length_penalty", 2},
                               {"early_stopping", true}};
  const json whole = post_json("/v1/completions", request);
  const BeamParams expected{4, 2, 0.5f, 2.0f, EarlyStopping::on};
  EXPECT_EQ(dispatcher_.seen().back().beam, expected);
  EXPECT_EQ(dispatcher_.seen().back().sampling.temperature, 0.0f);
  EXPECT_EQ(whole["choices"][0]["text"], "best");
  EXPECT_EQ(whole["choices"][0]["troupe"]["score"], -0.5);
  EXPECT_EQ(whole["choices"][1]["troupe"]["score"], -0.75);
  EXPECT_EQ(whole["lossy"], json::array({"diverse-beam-search"}));
  request["troupe"]["token_ids"] = true;
  std::map<int, double> scores;
  for (const json& chunk : stream("/v1/completions", request))
    if (const json& choice = chunk["choices"][0]; !choice["finish_reason"].is_null()) {
      scores[choice["index"]] = choice["troupe"]["score"];
      EXPECT_EQ(choice["troupe"]["token_ids"].size(), 4u);
    }
  EXPECT_EQ(scores, (std::map<int, double>{{0, -0.5}, {1, -0.75}}));
  EXPECT_FALSE(post_json("/v1/completions", body())["choices"][0].contains("troupe"));
}

TEST_F(Completions, VllmsNamesAskForABeamSearchToo) {
  start();
  json request = body();
  request.update({{"use_beam_search", true}, {"best_of", 3}, {"length_penalty", 0.5}});
  const json answer = post_json("/v1/completions", request);
  EXPECT_EQ(dispatcher_.seen().back().beam, (BeamParams{3, 1, 0.0f, 0.5f, EarlyStopping::off}));
  EXPECT_EQ(dispatcher_.seen().back().choices, 1u);
  EXPECT_EQ(answer["lossy"], json::array({"beam-search"}));
}

TEST_F(Completions, SuperposedDraftsAreAsManyAsChoicesAndShort) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    for (std::uint32_t i = 0; i < job.choices; ++i)
      answer.choices.push_back(byte_tokens(i == 0 ? "best" : "next"));
    if (job.superposed.drafts > 0) answer.scores = {-0.5, -0.75, -1.0};
    return answer;
  });
  json request = body();
  request["n"] = 3;
  request["max_tokens"] = nullptr;
  request["troupe"]["decoding"] = "superposed";
  const json whole = post_json("/v1/completions", request);
  EXPECT_EQ(dispatcher_.seen().back().superposed, (SuperposedParams{3, 0.54f, 0.06f, 9}));
  EXPECT_EQ(dispatcher_.seen().back().sampling.temperature, 0.0f);
  EXPECT_EQ(dispatcher_.seen().back().max_tokens, kMostSuperposedTokens);
  EXPECT_EQ(dispatcher_.seen().back().choices, 3u);
  EXPECT_EQ(whole["choices"][2]["troupe"]["score"], -1.0);
  EXPECT_EQ(whole["lossy"], json::array({"superposed-decoding"}));
  request["max_tokens"] = 5;
  request["troupe"]["superposed"] = {{"alpha", 0}, {"temperature", 0.5}, {"candidates", 20}};
  post_json("/v1/completions", request);
  EXPECT_EQ(dispatcher_.seen().back().superposed, (SuperposedParams{3, 0.0f, 0.5f, 20}));
  EXPECT_EQ(dispatcher_.seen().back().max_tokens, 5u);
  EXPECT_FALSE(post_json("/v1/completions", body()).contains("lossy"));
  EXPECT_EQ(dispatcher_.seen().back().superposed.drafts, 0u);
}

TEST_F(Completions, APresetSetsTheSamplerAndFieldsGoBeforeIt) {
  start();
  json request = body();
  request["troupe"]["preset"] = "sharpened";
  request["temperature"] = 0.25;
  const json answer = post_json("/v1/completions", request);
  const SamplingParams asked = dispatcher_.seen().back().sampling;
  EXPECT_EQ(asked.temperature, 0.25f) << "the request's own field";
  EXPECT_EQ(asked.min_p, 0.01f);
  EXPECT_EQ(asked.dry.multiplier, 0.8f);
  EXPECT_FALSE(asked.dry.breakers.empty()) << "DRY's tokens are found as if its fields were sent";
  EXPECT_EQ(answer["lossy"], json::array({"sharpened-sampling"}));
  EXPECT_FALSE(post_json("/v1/completions", body()).contains("lossy"));
  EXPECT_EQ(dispatcher_.seen().back().sampling.min_p, 0.0f);
}

TEST_F(Completions, OneArrayOfIdsIsOnePrompt) {
  start();
  post_json("/v1/completions", body({97, 98, 99}));
  ASSERT_EQ(dispatcher_.seen().size(), 1u);
  EXPECT_EQ(dispatcher_.seen()[0].prompt, (std::vector<TokenId>{97, 98, 99}));
}

TEST_F(Completions, EmptyPromptStartsFromTheBeginToken) {
  start();
  post_json("/v1/completions", body(""));
  EXPECT_EQ(dispatcher_.seen()[0].prompt, std::vector<TokenId>{small_tokenizer()->bos()});
}

TEST_F(Completions, EchoPutsThePromptFirst) {
  start();
  answer_with("!");
  for (const json& prompt : {json("xy"), json({120, 121})}) {
    json request = body(prompt);
    request["echo"] = true;
    EXPECT_EQ(post_json("/v1/completions", request)["choices"][0]["text"], "xy!");
    std::string streamed;
    for (const json& chunk : stream("/v1/completions", request))
      streamed += chunk["choices"][0]["text"].get<std::string>();
    EXPECT_EQ(streamed, "xy!");
  }
}

ScriptedAnswer scored(const gateway::GenerateJob& job) {
  ScriptedAnswer answer;
  EXPECT_TRUE(job.prompt_logprobs);
  for (const TokenId id : job.prompt) answer.prompt_logprobs.push_back({id, -2.0f, {{id, -2.0f}}});
  answer.choices = {byte_tokens("z")};
  answer.finish = FinishReason::length;
  return answer;
}

TEST_F(Completions, EchoWithLogprobsScoresThePrompt) {
  start();
  dispatcher_.set_script(scored);
  json request = body("\xC3\xA9y");  // one token, then one byte
  request["echo"] = true;
  request["logprobs"] = 1;
  request["max_tokens"] = 1;
  const json choice = post_json("/v1/completions", request)["choices"][0];
  EXPECT_EQ(choice["text"], "\xC3\xA9yz");
  EXPECT_EQ(choice["logprobs"]["tokens"], json({"\xC3\xA9", "y", "z"}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"], json({nullptr, -2.0, -0.5}));
  EXPECT_EQ(choice["logprobs"]["top_logprobs"], json({nullptr, {{"y", -2.0}}, {{"z", -0.5}}}));
  EXPECT_EQ(choice["logprobs"]["text_offset"], json({0, 1, 2}));
}

TEST_F(Completions, EchoWithNoTokensScoresThePromptAlone) {
  start();
  dispatcher_.set_script(scored);
  json request = body("ab");
  request["echo"] = true;
  request["logprobs"] = 0;
  request["max_tokens"] = 0;
  const json answer = post_json("/v1/completions", request);
  EXPECT_EQ(answer["choices"][0]["text"], "ab");
  EXPECT_EQ(answer["choices"][0]["logprobs"]["token_logprobs"], json({nullptr, -2.0}));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST_F(Completions, LogprobsNamePartialCharactersByTheirBytes) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("a😀b")};
    answer.finish = FinishReason::length;
    return answer;
  });
  json request = body();
  request["logprobs"] = 0;
  const json choice = post_json("/v1/completions", request)["choices"][0];
  EXPECT_EQ(choice["text"], "a😀b");
  EXPECT_EQ(choice["logprobs"]["tokens"],
            json({"a", "bytes:\\xf0", "bytes:\\x9f", "bytes:\\x98", "bytes:\\x80", "b"}));
  EXPECT_EQ(choice["logprobs"]["text_offset"], json({0, 1, 1, 1, 1, 2}));
}

TEST_F(Completions, StreamedLogprobsJoinToTheWholeOnes) {
  start();
  answer_with("aé😀 stop here", 3);
  json request = body();
  request["logprobs"] = 0;
  request["stop"] = "p h";
  const json whole = post_json("/v1/completions", request)["choices"][0];
  json joined = {{"tokens", json::array()}, {"text_offset", json::array()}};
  std::string text;
  for (const json& chunk : stream("/v1/completions", request)) {
    const json& choice = chunk["choices"][0];
    text += choice["text"].get<std::string>();
    if (choice["logprobs"].is_null()) continue;
    for (const char* key : {"tokens", "text_offset"}) {
      for (const json& item : choice["logprobs"][key]) joined[key].push_back(item);
    }
  }
  EXPECT_EQ(whole["text"], "aé😀 sto");
  EXPECT_EQ(text, whole["text"]);
  EXPECT_EQ(joined["tokens"], whole["logprobs"]["tokens"]);
  EXPECT_EQ(joined["text_offset"], whole["logprobs"]["text_offset"]);
}

TEST_F(Completions, OneFailingPromptFailsTheRequestAndCancelsTheRest) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob& job) {
    ScriptedAnswer answer;
    answer.choices = {byte_tokens("x")};
    if (job.prompt[0] == 'b') answer.error_at_start = Error{Errc::queue_full, "no"};
    return answer;
  });
  const Answer answer = post("/v1/completions", body({"a", "b", "c"}).dump());
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(dispatcher_.seen().size(), 2u);
  EXPECT_EQ(dispatcher_.cancels(), 1u);
}

TEST_F(Completions, SamplingFieldsArriveAsGiven) {
  start();
  json request = body();
  request.update({{"temperature", 0.5},
                  {"top_p", 0.25},
                  {"top_k", 7},
                  {"min_p", 0.125},
                  {"typical_p", 0.75},
                  {"repetition_penalty", 1.5},
                  {"frequency_penalty", -1},
                  {"presence_penalty", 2},
                  {"seed", 42},
                  {"logit_bias", {{"97", -100}}},
                  {"max_tokens", 9},
                  {"stop_token_ids", {33}},
                  {"best_of", 1}});
  post_json("/v1/completions", request);
  const auto job = dispatcher_.seen()[0];
  EXPECT_EQ(job.sampling.temperature, 0.5f);
  EXPECT_EQ(job.sampling.top_p, 0.25f);
  EXPECT_EQ(job.sampling.top_k, 7u);
  EXPECT_EQ(job.sampling.min_p, 0.125f);
  EXPECT_EQ(job.sampling.typical_p, 0.75f);
  EXPECT_EQ(job.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(job.sampling.frequency_penalty, -1.0f);
  EXPECT_EQ(job.sampling.presence_penalty, 2.0f);
  EXPECT_EQ(job.sampling.seed, 42u);
  EXPECT_EQ(job.sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{97, -100.0f}}));
  EXPECT_EQ(job.max_tokens, 9u);
  EXPECT_EQ(job.stop_tokens, (std::vector<TokenId>{33, small_tokenizer()->eos()}));
}

}  // namespace
}  // namespace troupe::test
