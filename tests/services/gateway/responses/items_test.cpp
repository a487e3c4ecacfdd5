// What clients send as input, in one form, and as the messages of a chat.
#include "services/gateway/responses/items.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::Json;
using gateway::responses::item_id;
using gateway::responses::read_items;
using gateway::responses::response_of_item;
using gateway::responses::to_messages;

const RequestId kResponse{0x0123456789abcdefULL, 0x42};

Json items(const Json& input) {
  auto read = read_items(input, kResponse);
  EXPECT_TRUE(read) << (read ? "" : read.error().message);
  return read ? *read : Json::array();
}

Json messages(const Json& known, const Json& added, const std::optional<std::string>& instructions = {}) {
  auto made = to_messages(instructions, known, added);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? *made : Json::array();
}

Json parsed(const char* text) {
  return Json::parse(text);
}

void expect_refused(const char* input, const std::string& param, const std::string& code) {
  const auto read = read_items(parsed(input), kResponse);
  ASSERT_FALSE(read) << input;
  EXPECT_EQ(read.error().param, param);
  EXPECT_EQ(read.error().code, code) << read.error().message;
}

TEST(ResponseItems, AStringIsOneMessageOfTheUsers) {
  const Json read = items("Hello");
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0]["type"], "message");
  EXPECT_EQ(read[0]["role"], "user");
  EXPECT_EQ(read[0]["content"], parsed(R"([{"type":"input_text","text":"Hello"}])"));
  EXPECT_EQ(read[0]["id"], "msg_0123456789abcdef0000000000000042i0");
  EXPECT_EQ(read[0]["status"], "completed");
}

TEST(ResponseItems, EveryKindComesInOneForm) {
  const Json read = items(parsed(R"([
    {"role":"developer","content":"Be short."},
    {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
    {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null},
    {"type":"message","id":"msg_1","role":"assistant","status":"completed",
     "content":[{"type":"output_text","text":"c","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},
    {"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},
    {"type":"function_call_output","call_id":"call_1","output":[{"type":"input_text","text":"x"},{"type":"input_text","text":"y"}]},
    {"id":"msg_2"}])"));
  ASSERT_EQ(read.size(), 7u);
  EXPECT_EQ(read[0]["content"][0]["text"], "Be short.");
  EXPECT_EQ(read[2]["id"], "rs_1");
  EXPECT_EQ(read[3]["content"][0]["type"], "output_text");
  EXPECT_EQ(read[3]["content"][1], parsed(R"({"type":"refusal","refusal":"no"})"));
  EXPECT_EQ(read[4]["id"], item_id("fc", kResponse, false, 4));
  EXPECT_EQ(read[5]["output"], "x\ny");
  EXPECT_EQ(read[6]["type"], "item_reference");
}

TEST(ResponseItems, WhatIsNotSupportedIsNamed) {
  expect_refused("[]", "input", "invalid_value");
  expect_refused("[1]", "input[0]", "invalid_type");
  expect_refused(R"([{"type":"computer_call","id":"x"}])", "input[0].type", "unsupported_parameter");
  expect_refused(R"([{"type":7}])", "input[0].type", "unsupported_parameter");
  expect_refused(R"([{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])",
                 "input[0].content[0].type", "unsupported_parameter");
  expect_refused(R"([{"role":"user","content":[{"type":"input_text"}]}])", "input[0].content[0].text",
                 "missing_required_parameter");
  expect_refused(R"([{"role":"user"}])", "input[0].content", "missing_required_parameter");
  expect_refused(R"([{"role":"tool","content":"x"}])", "input[0].role", "invalid_value");
  expect_refused(R"([{"role":"user","content":"x","colour":"red"}])", "input[0].colour", "unknown_parameter");
  expect_refused(R"([{"type":"function_call","name":"f","arguments":"{}"}])", "input[0].call_id",
                 "missing_required_parameter");
  expect_refused(R"([{"type":"function_call_output","call_id":"c"}])", "input[0].output",
                 "missing_required_parameter");
}

TEST(ResponseItems, NamesLeadToTheirResponse) {
  EXPECT_EQ(response_of_item(item_id("msg", kResponse, true, 12)), kResponse);
  EXPECT_EQ(response_of_item(item_id("fc", kResponse, false, 0)), kResponse);
  for (const char* other :
       {"", "msg_", "msg_123", "0123456789abcdef0123456789abcdef", "msg_0123456789abcdef0123456789abcdeg"})
    EXPECT_FALSE(response_of_item(other)) << other;
  EXPECT_EQ(gateway::responses::id_of_response(gateway::responses::response_id(kResponse)), kResponse);
  EXPECT_FALSE(gateway::responses::id_of_response("resp_12"));
  EXPECT_FALSE(gateway::responses::id_of_response("0123456789abcdef0123456789abcdef"));
}

TEST(ResponseItems, CallsThatStandTogetherAreOneMessage) {
  const Json history = items(parsed(R"([{"role":"user","content":"Weather?"},
    {"type":"reasoning","id":"rs_1","summary":[]},
    {"role":"assistant","content":"A moment."},
    {"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"},
    {"type":"function_call","call_id":"b","name":"g","arguments":""}])"));
  const Json added = items(parsed(R"([{"type":"function_call_output","call_id":"b","output":"two"},
    {"type":"function_call_output","call_id":"a","output":"one"},
    {"role":"user","content":"And?"}])"));
  const Json made = messages(history, added, "Be kind.");
  ASSERT_EQ(made.size(), 6u);
  EXPECT_EQ(made[0], parsed(R"({"role":"system","content":"Be kind."})"));
  EXPECT_EQ(made[2]["content"], "A moment.");
  ASSERT_EQ(made[2]["tool_calls"].size(), 2u);
  EXPECT_EQ(made[2]["tool_calls"][0],
            parsed(R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}})"));
  EXPECT_EQ(made[2]["tool_calls"][1]["function"]["arguments"], "{}");
  EXPECT_EQ(made[3], parsed(R"({"role":"tool","tool_call_id":"b","content":"two"})"));
  EXPECT_EQ(made[5]["content"], "And?");
}

TEST(ResponseItems, StepsOfALoopAreMessagesOfTheirOwn) {
  const Json made = messages(Json::array(), items(parsed(R"([{"role":"user","content":"q"},
    {"type":"function_call","call_id":"a","name":"f","arguments":"{}"},
    {"type":"function_call_output","call_id":"a","output":"1"},
    {"type":"function_call","call_id":"b","name":"f","arguments":"{}"},
    {"role":"assistant","content":"Looking again."},
    {"type":"function_call_output","call_id":"b","output":"2"}])")));
  ASSERT_EQ(made.size(), 5u);
  EXPECT_EQ(made[1]["tool_calls"].size(), 1u);
  EXPECT_EQ(made[3]["tool_calls"].size(), 1u);
  EXPECT_EQ(made[3]["content"], "Looking again.");
}

TEST(ResponseItems, AResultNeedsItsCallRightBeforeIt) {
  const Json call = parsed(R"({"type":"function_call","call_id":"a","name":"f","arguments":"{}"})");
  const Json result = parsed(R"({"type":"function_call_output","call_id":"a","output":"1"})");
  const Json other = parsed(R"({"type":"function_call_output","call_id":"b","output":"1"})");
  const Json user = parsed(R"({"role":"user","content":"q"})");
  EXPECT_TRUE(to_messages({}, items(Json::array({call})), items(Json::array({result}))));
  for (const Json& input :
       {Json::array({result}), Json::array({call, other}), Json::array({call, user, result})}) {
    const auto made = to_messages({}, Json::array(), items(input));
    ASSERT_FALSE(made) << input.dump();
    EXPECT_EQ(made.error().param, "input[" + std::to_string(input.size() - 1) + "].call_id");
  }
}

TEST(ResponseItems, ACallThatWasCutIsLeftOut) {
  const Json cut = parsed(
      R"({"type":"function_call","status":"incomplete","call_id":"a","name":"f","arguments":"{\"x\":"})");
  EXPECT_EQ(messages(items(Json::array({cut})), items("Go on")).size(), 1u);
  Json whole = cut;
  whole["status"] = "completed";
  const auto made = to_messages({}, Json::array(), items(Json::array({whole})));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().param, "input[0].arguments");
}

}  // namespace
}  // namespace troupe::test
