// Golden transcripts of Anthropic's answers.
#include "services/gateway/anthropic/message_writer.hpp"

#include "tests/services/gateway/adapter_fixture.hpp"

namespace troupe::test {
namespace {

using gateway::AnswerHead;
using gateway::CallDelta;
using gateway::ChoiceEnd;
using gateway::ChoiceResult;
using gateway::TextDelta;
using gateway::Usage;
using gateway::anthropic::message_writer;
using gateway::anthropic::WriterOptions;
using nlohmann::json;

AnswerHead head() {
  return {"0a", 0, "m", {}, false, {}, nullptr};
}

Usage usage() {
  Usage out;
  out.prompt_tokens = 10;
  out.cached_tokens = 4;
  out.completion_tokens = 7;
  return out;
}

std::string stream(const std::vector<TextDelta>& deltas, const ChoiceEnd& end, WriterOptions options = {}) {
  return written(*message_writer(options, head()), deltas, end, usage());
}

json whole(TextDelta all, const ChoiceEnd& end, WriterOptions options = {}) {
  std::vector<ChoiceResult> results(1);
  results[0].all = std::move(all);
  results[0].reason = end.reason;
  results[0].end = end;
  return json::parse(message_writer(options, head())->whole(std::move(results), usage()));
}

/// Of the only choice.
std::string reason_of(const ChoiceEnd& end) {
  return whole(delta_of("x"), end)["stop_reason"];
}

constexpr std::string_view kStart =
    R"(event: message_start
data: {"type":"message_start","message":{"id":"msg_0a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0}}}

event: ping
data: {"type":"ping"}

)";

TEST(MessageWriter, AStreamOfText) {
  EXPECT_EQ(stream({delta_of("He\"l"), delta_of("lo")}, {FinishReason::stop, false, "END"}),
            std::string(kStart) + R"(event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"He\"l"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

)");
}

/// Names of the events, and the payloads that matter in a line each.
std::vector<std::string> outline(const std::string& transcript) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < transcript.size();) {
    const auto end = transcript.find("\n\n", at);
    const auto data = transcript.find("\ndata: ", at);
    const json event = json::parse(transcript.substr(data + 7, end - data - 7));
    EXPECT_EQ(transcript.substr(at, data - at), "event: " + event["type"].get<std::string>());
    std::string line = event["type"];
    const auto add = [&line](const std::string& word) { line.append(1, ' ').append(word); };
    if (event.contains("index")) add(event["index"].dump());
    if (event.contains("content_block")) add(event["content_block"]["type"]);
    if (event.contains("delta") && event["delta"].contains("type")) {
      json delta = event["delta"];
      delta.erase("type");
      add(delta.front());
    }
    out.push_back(line);
    at = end + 2;
  }
  return out;
}

TEST(MessageWriter, ThinkingTextAndCallsAreBlocksInTheirOrder) {
  const std::vector<TextDelta> deltas{
      delta_of("", "hm"),
      delta_of("So:", " ok"),
      delta_of("", "", {CallDelta{0, "f", "{\"a\""}}),
      // The call's end, text behind it and the next call came at once.
      delta_of("and", "", {CallDelta{0, "", ":1}"}, CallDelta{1, "g", "{}"}}),
  };
  const std::vector<std::string> expected{
      "message_start",
      "ping",
      "content_block_start 0 thinking",
      "content_block_delta 0 hm",
      "content_block_delta 0  ok",
      "content_block_stop 0",
      "content_block_start 1 text",
      "content_block_delta 1 So:",
      "content_block_stop 1",
      "content_block_start 2 tool_use",
      "content_block_delta 2 {\"a\"",
      "content_block_delta 2 :1}",
      "content_block_stop 2",
      "content_block_start 3 text",
      "content_block_delta 3 and",
      "content_block_stop 3",
      "content_block_start 4 tool_use",
      "content_block_delta 4 {}",
      "content_block_stop 4",
      "message_delta",
      "message_stop",
  };
  EXPECT_EQ(outline(stream(deltas, {FinishReason::stop, true})), expected);
}

TEST(MessageWriter, LeavesOutWhatWasNotWanted) {
  const std::vector<TextDelta> deltas{delta_of("", "hm"), delta_of("", "", {CallDelta{0, "f", "{}"}}),
                                      delta_of("", "", {CallDelta{1, "g", "{"}}),
                                      delta_of("", "", {CallDelta{1, "", "}"}})};
  const std::vector<std::string> expected{"message_start",
                                          "ping",
                                          "content_block_start 0 tool_use",
                                          "content_block_delta 0 {}",
                                          "content_block_stop 0",
                                          "message_delta",
                                          "message_stop"};
  EXPECT_EQ(outline(stream(deltas, {FinishReason::stop, true}, {false, true})), expected);
  const json answer = whole(delta_of("", "hm", {CallDelta{0, "f", "{}"}, CallDelta{1, "g", "{}"}}),
                            {FinishReason::stop, true}, {false, true});
  ASSERT_EQ(answer["content"].size(), 1u);
  EXPECT_EQ(answer["content"][0]["name"], "f");
}

TEST(MessageWriter, AWholeAnswer) {
  const json answer =
      whole(delta_of("So:", "hm", {CallDelta{0, "f", R"({"a": 1})"}}), {FinishReason::stop, true});
  const std::string id = answer["content"][2]["id"];
  EXPECT_EQ(answer, json::parse(R"({"id":"msg_0a","type":"message","role":"assistant","model":"m","content":[
      {"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"So:"},
      {"type":"tool_use","id":")" +
                                id + R"(","name":"f","input":{"a":1}}],
      "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":6,"cache_creation_input_tokens":0,
      "cache_read_input_tokens":4,"output_tokens":7}})"));
  EXPECT_TRUE(id.starts_with("toolu_"));
}

TEST(MessageWriter, ACallHasOneIdAndAStreamTheSame) {
  const TextDelta call = delta_of("", "", {CallDelta{0, "f", "{}"}});
  const std::string id = whole(call, {FinishReason::stop, true})["content"][0]["id"];
  EXPECT_NE(
      stream({call}, {FinishReason::stop, true}).find("\"id\":\"" + id + "\",\"name\":\"f\",\"input\":{}"),
      std::string::npos);
}

TEST(MessageWriter, ACallThatWasCutHasNoInput) {
  const json answer = whole(delta_of("", "", {CallDelta{0, "f", R"({"a": )"}}), {FinishReason::length, true});
  EXPECT_EQ(answer["content"][0]["input"], json::object());
  EXPECT_EQ(answer["stop_reason"], "max_tokens");
}

TEST(MessageWriter, SaysWhyItEnded) {
  EXPECT_EQ(reason_of({FinishReason::stop}), "end_turn");
  EXPECT_EQ(reason_of({FinishReason::stop, true}), "tool_use");
  EXPECT_EQ(reason_of({FinishReason::stop, true, "END"}), "stop_sequence");
  EXPECT_EQ(reason_of({FinishReason::length}), "max_tokens");
  EXPECT_EQ(reason_of({FinishReason::length, false, "", true}), "model_context_window_exceeded");
  EXPECT_TRUE(whole(delta_of(""), {FinishReason::stop})["content"].empty());
}

TEST(MessageWriter, AnErrorIsAnEvent) {
  gateway::AnswerWriter::Events events;
  message_writer({}, head())->error(gateway::to_api(Error{Errc::peer_lost, "gone"}), events);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0],
            "event: error\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"gone\"}}\n\n");
}

}  // namespace
}  // namespace troupe::test
