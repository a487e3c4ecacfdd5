// Golden transcripts of Ollama's answers.
#include "services/gateway/ollama/line_writer.hpp"

#include "tests/services/gateway/adapter_fixture.hpp"

namespace troupe::test {
namespace {

using gateway::AnswerHead;
using gateway::CallDelta;
using gateway::ChoiceResult;
using gateway::TextDelta;
using gateway::Usage;
using gateway::ollama::line_writer;
using gateway::ollama::LineOptions;
using nlohmann::json;

AnswerHead head() {
  return {"0a", 0, "m", {}, false, {}, small_tokenizer()};
}

LineOptions options(bool chat) {
  LineOptions out;
  out.chat = chat;
  out.model = "m:latest";
  out.now = [] { return std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000)); };
  return out;
}

Usage usage() {
  Usage out;
  out.prompt_tokens = 10;
  out.completion_tokens = 7;
  out.times = {std::chrono::nanoseconds(100), std::chrono::nanoseconds(10), std::chrono::nanoseconds(60),
               std::chrono::nanoseconds(25)};
  return out;
}

const std::string kHead = R"({"model":"m:latest","created_at":"2023-11-14T22:13:20Z",)";
const std::string kStats =
    R"("total_duration":100,"load_duration":10,"prompt_eval_count":10,"prompt_eval_duration":60,"eval_count":7,"eval_duration":25})";

TEST(LineWriter, AChatIsALineAPiece) {
  EXPECT_EQ(written(*line_writer(options(true), head()), {delta_of("He\n"), delta_of("y", "hm")},
                    {FinishReason::stop}, usage()),
            kHead + R"("message":{"role":"assistant","content":"He\n"},"done":false})" + "\n" + kHead +
                R"("message":{"role":"assistant","content":"y","thinking":"hm"},"done":false})" + "\n" +
                kHead + R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",)" +
                kStats + "\n");
}

TEST(LineWriter, APromptsAnswerIsItsResponse) {
  EXPECT_EQ(written(*line_writer(options(false), head()), {delta_of("He"), delta_of("")},
                    {FinishReason::length}, usage()),
            kHead + R"("response":"He","done":false})" + "\n" + kHead +
                R"("response":"","done":true,"done_reason":"length",)" + kStats + "\n");
}

std::vector<json> lines(const std::string& text) {
  std::vector<json> out;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    out.push_back(json::parse(text.substr(at, text.find('\n', at) - at)));
  return out;
}

TEST(LineWriter, ACallIsToldWhenItIsWhole) {
  const auto told = lines(written(*line_writer(options(true), head()),
                                  {delta_of("So:"), delta_of("", "", {CallDelta{0, "f", R"({"a")"}}),
                                   delta_of("", "", {CallDelta{0, "", ":1}"}, CallDelta{1, "g", "{"}}),
                                   delta_of("", "", {CallDelta{1, "", "}"}})},
                                  {FinishReason::stop, true}, usage()));
  ASSERT_EQ(told.size(), 4u);
  EXPECT_FALSE(told[0]["message"].contains("tool_calls"));
  const json first = told[1]["message"]["tool_calls"], second = told[2]["message"]["tool_calls"];
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0]["function"], json({{"index", 0}, {"name", "f"}, {"arguments", {{"a", 1}}}}));
  EXPECT_EQ(second[0]["function"], json({{"index", 1}, {"name", "g"}, {"arguments", json::object()}}));
  EXPECT_NE(first[0]["id"], second[0]["id"]);
  EXPECT_EQ(told[2]["done"], false);
  EXPECT_EQ(told[3]["done_reason"], "stop");
}

TEST(LineWriter, AWholeAnswerHasItAll) {
  std::vector<ChoiceResult> results(1);
  results[0].all = delta_of("So:", "hm", {CallDelta{0, "f", R"({"a": 1})"}, CallDelta{1, "g", R"({"cut)"}});
  results[0].reason = FinishReason::length;
  const json answer = json::parse(line_writer(options(true), head())->whole(std::move(results), usage()));
  EXPECT_EQ(answer["message"]["content"], "So:");
  EXPECT_EQ(answer["message"]["thinking"], "hm");
  EXPECT_EQ(answer["message"]["tool_calls"][0]["function"]["arguments"], json({{"a", 1}}));
  EXPECT_EQ(answer["message"]["tool_calls"][1]["function"]["arguments"], json::object());
  EXPECT_EQ(answer["done_reason"], "length");
  EXPECT_EQ(answer["eval_count"], 7);
}

TEST(LineWriter, LogprobsComeWithTheirTokens) {
  LineOptions with = options(false);
  with.logprobs = true;
  TextDelta delta = delta_of("H");
  delta.tokens.push_back({{'H', -0.5f, {{'J', -1.0f}}}, 0, true, false});
  const auto told = lines(written(*line_writer(with, head()), {delta}, {FinishReason::stop}, usage()));
  EXPECT_EQ(told[0]["logprobs"], json::parse(R"([{"token":"H","logprob":-0.5,"bytes":[72],
                             "top_logprobs":[{"token":"J","logprob":-1.0,"bytes":[74]}]}])"));
  EXPECT_FALSE(told[1].contains("logprobs"));
}

TEST(LineWriter, AnErrorIsALine) {
  gateway::AnswerWriter::Events events;
  line_writer(options(true), head())->error(gateway::to_api(Error{Errc::peer_lost, "gone \"x\""}), events);
  EXPECT_EQ(events, std::vector<std::string>{"{\"error\":\"gone \\\"x\\\"\"}\n"});
}

TEST(LineWriter, AModelThatIsThereIsLoaded) {
  EXPECT_EQ(loaded_answer(options(true)),
            kHead + R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"load"})");
  EXPECT_EQ(loaded_answer(options(false)), kHead + R"("response":"","done":true,"done_reason":"load"})");
}

}  // namespace
}  // namespace troupe::test
