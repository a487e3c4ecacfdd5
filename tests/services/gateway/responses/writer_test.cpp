// The events of a response, byte for byte as tests/golden/responses has them, and whole answers that say the
// same. TROUPE_UPDATE_GOLDEN=1 writes files that are missing.
#include "services/gateway/responses/writer.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using gateway::AnswerWriter;
using gateway::Json;
using gateway::TextDelta;
using gateway::Usage;
using gateway::responses::Keeper;
using gateway::responses::ResponseStore;
using gateway::responses::Settings;

const RequestId kId{0x00112233445566ffULL, 0x8899aabbccddeeffULL};

Settings settings(const char* more = "{}") {
  Json body = Json::parse(R"({"model":"small","input":"Hi"})");
  body.update(Json::parse(more));
  auto request = gateway::responses::read_request(body, kId);
  EXPECT_TRUE(request) << (request ? "" : request.error().message);
  if (!request) return {};
  EXPECT_TRUE(to_chat(*request, [](const RequestId&) { return nullptr; }, {}));
  return std::move(request->settings);
}

gateway::AnswerHead head() {
  gateway::AnswerHead out;
  out.id = to_hex(kId);
  out.created = 1'700'000'000;
  out.model = "small";
  out.tokenizer = small_tokenizer();
  return out;
}

std::unique_ptr<AnswerWriter> writer(const Settings& how, Keeper keeper = {}) {
  return response_writer(head(), std::make_shared<const Settings>(how), keeper);
}

TextDelta text(std::string content, bool scored = false) {
  TextDelta out;
  if (scored)
    for (GeneratedToken& token : byte_tokens(content)) {
      token.top = {{'a', -0.25f}};
      out.tokens.push_back({std::move(token), 0, true, false});
    }
  out.text = std::move(content);
  return out;
}
TextDelta reasoning(std::string content) {
  TextDelta out;
  out.reasoning = std::move(content);
  return out;
}
TextDelta call(std::size_t index, std::string name, std::string arguments) {
  TextDelta out;
  out.calls.push_back({index, std::move(name), std::move(arguments)});
  return out;
}

const Usage kUsage{12, 7, 3, 2, {}};

/// What the writer makes of these pieces, as one text.
std::string transcript(AnswerWriter& out, const std::vector<TextDelta>& pieces, FinishReason reason) {
  AnswerWriter::Events events;
  out.begin(0, {}, events);
  for (const TextDelta& piece : pieces) out.delta(0, piece, events);
  out.finish(0, {reason, false}, {}, events);
  out.end(kUsage, events);
  std::string all;
  for (const std::string& event : events) all += event;
  return all;
}

/// (type, payload) of each event; every one has its number.
std::vector<std::pair<std::string, Json>> events_of(const std::string& all) {
  std::vector<std::pair<std::string, Json>> out;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = all.find("\n\n", at);
    const auto line = all.find("\ndata: ", at);
    EXPECT_TRUE(all.compare(at, 7, "event: ") == 0 && line < end);
    out.emplace_back(all.substr(at + 7, line - at - 7), Json::parse(all.substr(line + 7, end - line - 7)));
    EXPECT_EQ(out.back().first, out.back().second["type"]);
    EXPECT_EQ(out.back().second["sequence_number"], out.size() - 1);
    at = end + 2;
  }
  return out;
}

void expect_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path file = "tests/golden/responses/" + name;
  if (!std::filesystem::exists(file) && std::getenv("TROUPE_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::ifstream in(file);
  ASSERT_TRUE(in.good()) << file << " is missing";
  std::stringstream golden;
  golden << in.rdbuf();
  EXPECT_EQ(golden.str(), text) << file;
}

const std::vector<TextDelta> kMixed{reasoning("Hm."),
                                    reasoning(" So."),
                                    text("Let me "),
                                    text("see."),
                                    call(0, "weather", "{\"city\""),
                                    call(0, "", ": \"K\"}"),
                                    call(1, "time", "{}")};

TEST(ResponseWriterTest, AnAnswerInWordsIsTheGoldenStream) {
  const auto out = writer(settings(R"({"store":false})"));
  expect_golden("text.sse", transcript(*out, {text("Hel"), text("lo \"you\"\n")}, FinishReason::stop));
}

TEST(ResponseWriterTest, ReasoningWordsAndCallsAreTheGoldenStream) {
  const auto out = writer(settings(R"({"store":false})"));
  expect_golden("tools.sse", transcript(*out, kMixed, FinishReason::stop));
}

TEST(ResponseWriterTest, EventsComeInTheirOrder) {
  const auto out = writer(settings());
  std::vector<std::string> types;
  for (const auto& [type, payload] : events_of(transcript(*out, kMixed, FinishReason::stop)))
    types.push_back(type);
  const std::vector<std::string> expected{"response.created",
                                          "response.in_progress",
                                          "response.output_item.added",
                                          "response.content_part.added",
                                          "response.reasoning_text.delta",
                                          "response.reasoning_text.delta",
                                          "response.reasoning_text.done",
                                          "response.content_part.done",
                                          "response.output_item.done",
                                          "response.output_item.added",
                                          "response.content_part.added",
                                          "response.output_text.delta",
                                          "response.output_text.delta",
                                          "response.output_text.done",
                                          "response.content_part.done",
                                          "response.output_item.done",
                                          "response.output_item.added",
                                          "response.function_call_arguments.delta",
                                          "response.function_call_arguments.delta",
                                          "response.function_call_arguments.done",
                                          "response.output_item.done",
                                          "response.output_item.added",
                                          "response.function_call_arguments.delta",
                                          "response.function_call_arguments.done",
                                          "response.output_item.done",
                                          "response.completed"};
  EXPECT_EQ(types, expected);
}

TEST(ResponseWriterTest, AWholeAnswerIsWhatTheStreamEndsWith) {
  TextDelta all;
  for (const TextDelta& piece : kMixed) {
    all.text += piece.text;
    all.reasoning += piece.reasoning;
    for (const auto& one : piece.calls) add_call(all, one);
  }
  const std::string whole = writer(settings())->whole({{all, FinishReason::stop, {}}}, kUsage);
  const auto streamed = events_of(transcript(*writer(settings()), kMixed, FinishReason::stop));
  EXPECT_EQ(Json::parse(whole), streamed.back().second["response"]);
  const Json object = Json::parse(whole);
  EXPECT_EQ(object["status"], "completed");
  ASSERT_EQ(object["output"].size(), 4u);
  EXPECT_EQ(object["output"][0]["content"][0]["text"], "Hm. So.");
  EXPECT_EQ(object["output"][1]["content"][0]["text"], "Let me see.");
  EXPECT_EQ(object["output"][2]["arguments"], R"({"city": "K"})");
  EXPECT_EQ(object["output"][3]["name"], "time");
  EXPECT_EQ(object["usage"]["total_tokens"], 19);
  EXPECT_EQ(object["usage"]["input_tokens_details"]["cached_tokens"], 3);
  EXPECT_EQ(object["usage"]["output_tokens_details"]["reasoning_tokens"], 2);
}

TEST(ResponseWriterTest, AnAnswerThatIsCutIsIncomplete) {
  const auto events =
      events_of(transcript(*writer(settings()), {call(0, "f", "{\"a\":")}, FinishReason::length));
  const Json& last = events.back().second;
  EXPECT_EQ(events.back().first, "response.incomplete");
  EXPECT_EQ(last["response"]["status"], "incomplete");
  EXPECT_EQ(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(last["response"]["output"][0]["status"], "incomplete");
}

TEST(ResponseWriterTest, AnAnswerOfNothingIsAnEmptyMessage) {
  const auto events = events_of(transcript(*writer(settings()), {}, FinishReason::stop));
  const Json& output = events.back().second["response"]["output"];
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0]["content"][0]["text"], "");
}

TEST(ResponseWriterTest, WordsBehindACallAreAMessageOfTheirOwn) {
  const auto events = events_of(
      transcript(*writer(settings()), {text("a"), call(0, "f", "{}"), text("b")}, FinishReason::stop));
  const Json& output = events.back().second["response"]["output"];
  ASSERT_EQ(output.size(), 3u);
  EXPECT_EQ(output[2]["content"][0]["text"], "b");
  EXPECT_NE(output[0]["id"], output[2]["id"]);
}

TEST(ResponseWriterTest, AFailureIsToldTwiceAndEndsWhatWasOpen) {
  const auto out = writer(settings());
  AnswerWriter::Events events;
  out->begin(0, {}, events);
  out->delta(0, text("Half"), events);
  out->error({500, "internal", "", "it broke", 0}, events);
  std::string all;
  for (const std::string& event : events) all += event;
  const auto told = events_of(all);
  const auto& [type, error] = told[told.size() - 2];
  EXPECT_EQ(type, "error");
  EXPECT_EQ(error["message"], "it broke");
  EXPECT_EQ(error["code"], "internal");
  EXPECT_EQ(told.back().first, "response.failed");
  const Json& failed = told.back().second["response"];
  EXPECT_EQ(failed["error"]["code"], "server_error");
  EXPECT_EQ(failed["output"][0]["status"], "incomplete");
  EXPECT_EQ(failed["output"][0]["content"][0]["text"], "Half");
}

TEST(ResponseWriterTest, LogProbabilitiesComeWithTheirText) {
  const Settings how = settings(R"({"include":["message.output_text.logprobs"],"top_logprobs":1})");
  TextDelta held = text("b", true);
  held.text.clear();  // its text comes later
  const auto events =
      events_of(transcript(*writer(how), {text("a", true), held, text("bc", false)}, FinishReason::stop));
  std::size_t told = 0;
  for (const auto& [type, payload] : events)
    if (type == "response.output_text.delta") told += payload["logprobs"].size();
  EXPECT_EQ(told, 2u);
  const Json& content = events.back().second["response"]["output"][0]["content"][0];
  ASSERT_EQ(content["logprobs"].size(), 2u);
  EXPECT_EQ(content["logprobs"][0]["token"], "a");
  EXPECT_EQ(content["logprobs"][0]["logprob"], -0.5);
  EXPECT_EQ(content["logprobs"][0]["bytes"], Json::array({97}));
  EXPECT_EQ(content["logprobs"][1]["top_logprobs"][0]["logprob"], -0.25);
}

TEST(ResponseWriterTest, WhatIsStoredIsTheAnswerWithItsConversation) {
  ManualClock clock;
  ResponseStore store({}, clock, nullptr);
  const auto out = writer(settings(), {&store, {5, 6}});
  const std::string whole = out->whole({{text("Hello"), FinishReason::stop, {}}}, kUsage);
  bool kept = false;
  ASSERT_TRUE(out->keep([&] { kept = true; }));
  EXPECT_TRUE(kept);
  Json stored;
  store.get(kId, [&](auto got) { stored = Json::parse(got->value()); });
  EXPECT_EQ(stored["owner"], to_hex(RequestId{5, 6}));
  EXPECT_EQ(stored["response"], Json::parse(whole));
  EXPECT_EQ(stored["response"]["store"], true);
  EXPECT_EQ(stored["input"][0]["content"][0]["text"], "Hi");
}

TEST(ResponseWriterTest, WhatIsNotStoredSaysSo) {
  ManualClock clock;
  ResponseStore small({.max_bytes = 10}, clock, nullptr), large({}, clock, nullptr);
  for (const auto& out :
       {writer(settings(), {&small, {}}), writer(settings(R"({"store":false})"), {&large, {}})}) {
    const std::string whole = out->whole({{text("Hello"), FinishReason::stop, {}}}, kUsage);
    EXPECT_EQ(Json::parse(whole)["store"], false);
    EXPECT_FALSE(out->keep([] { ADD_FAILURE(); }));
  }
}

}  // namespace
}  // namespace troupe::test
