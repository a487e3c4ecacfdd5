// Calls in texts of each format, and the rule that pieces make no difference.
#include "services/gateway/call_parser.hpp"

#include <gtest/gtest.h>

#include <random>

#include <nlohmann/json.hpp>

#include "services/gateway/answer_reader.hpp"

namespace troupe::gateway {
namespace {

using Calls = std::vector<std::pair<std::string, std::string>>;

struct Read {
  std::string text, reasoning;
  Calls calls;
  bool operator==(const Read&) const = default;
};

void PrintTo(const Read& read, std::ostream* out) {
  *out << "text " << ::testing::PrintToString(read.text) << " reasoning "
       << ::testing::PrintToString(read.reasoning) << " calls " << ::testing::PrintToString(read.calls);
}

void add(const AnswerParts& parts, Read& out) {
  out.text += parts.text;
  out.reasoning += parts.reasoning;
  for (const CallDelta& piece : parts.calls) {
    EXPECT_EQ(piece.name.empty(), piece.index < out.calls.size()) << "a name comes once, first";
    if (piece.index == out.calls.size()) out.calls.emplace_back(piece.name, "");
    ASSERT_LT(piece.index, out.calls.size());
    out.calls[piece.index].second += piece.arguments;
  }
}

AnswerReader::Options options(const char* format, bool reasoning = false) {
  return {reasoning, false, format == nullptr ? nullptr : find_tool_format(format), {"get", "add"}};
}

Read read_whole(const AnswerReader::Options& how, const std::string& text) {
  AnswerReader reader(how);
  Read out;
  AnswerParts parts;
  reader.push(text, parts);
  reader.finish(parts);
  add(parts, out);
  EXPECT_EQ(reader.calls(), out.calls.size());
  return out;
}

template <class Random>
Read read_in_pieces(const AnswerReader::Options& how, const std::string& text, std::size_t most,
                    Random& random) {
  AnswerReader reader(how);
  Read out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + random() % most);
    AnswerParts parts;
    reader.push(std::string_view(text).substr(at, size), parts);
    add(parts, out);
    at += size;
  }
  AnswerParts last;
  reader.finish(last);
  add(last, out);
  return out;
}

Read read(const char* format, const std::string& text) {
  return read_whole(options(format), text);
}

const std::string kGet = R"({"name": "get", "arguments": {"city": "Paris}", "n": [1, {"a": "\"}"}]}})";
const std::string kGetArguments = R"({"city": "Paris}", "n": [1, {"a": "\"}"}]})";
const std::string kAdd = R"({"name":"add","parameters":{}})";

TEST(CallParser, ReadsTheCallsOfEachFormat) {
  const Calls get{{"get", kGetArguments}}, both{{"get", kGetArguments}, {"add", "{}"}};
  struct Case {
    const char* format;
    std::string text;
    Read expected;
  };
  const std::vector<Case> cases{
      {"hermes", "<tool_call>\n" + kGet + "\n</tool_call>", {"", "", get}},
      {"hermes",
       "Let me look.\n<tool_call>" + kGet + "</tool_call>\n<tool_call>\n" + kAdd + "\n</tool_call>\n",
       {"Let me look.", "", both}},
      {"hermes", "<tool_call>\n" + kGet + "\n<tool_call>\n" + kAdd, {"", "", both}},
      {"hermes", "<tool_call>\n" + kGet + "\n" + kAdd + "\n</tool_call>", {"", "", both}},
      {"hermes", "<tool_call>" + kGet + "</tool_call> Done.", {" Done.", "", get}},
      {"llama3", "<|python_tag|>" + kGet + "; " + kAdd, {"", "", both}},
      {"llama3", kAdd, {"", "", {{"add", "{}"}}}},
      {"llama3", " \n" + kGet + "; " + kAdd + "\n", {"", "", both}},
      {"mistral", "[TOOL_CALLS] [" + kGet + ", " + kAdd + "]", {"", "", both}},
      {"mistral", "[TOOL_CALLS]" + kGet, {"", "", get}},
      {"gemma", "Sure:\n```tool_code\n" + kGet + "\n```", {"Sure:", "", get}},
      {"gemma", "```json\n[" + kGet + ",\n" + kAdd + "]\n```\n", {"", "", both}},
      {"json", "[" + kGet + ", " + kAdd + "]", {"", "", both}},
      {"json", kGet, {"", "", get}},
      {"generic", kGet, {"", "", get}},
      {"generic", "```json\n" + kGet + "\n```", {"", "", get}},
      // In another order, with more keys, as OpenAI has them
      {"hermes",
       R"(<tool_call>{"arguments": {"a": 1}, "name": "add"}</tool_call>)",
       {"", "", {{"add", R"({"a":1})"}}}},
      {"hermes",
       R"(<tool_call>{"name": "add", "arguments": {"a": 1}, "id": "x}"}</tool_call>)",
       {"", "", {{"add", R"({"a": 1})"}}}},
      {"json",
       R"({"type":"function","function":{"name":"add","arguments":"{\"a\": 1}"}})",
       {"", "", {{"add", R"({"a": 1})"}}}},
      {"mistral",
       R"([TOOL_CALLS] [{"name": "add", "arguments": {}, "id": "abc"}, {"name": "get", "arguments": {}}])",
       {"", "", {{"add", "{}"}, {"get", "{}"}}}},
      // Cut off: a call is told as far as it goes
      {"hermes", R"(<tool_call>{"name": "add", "arguments": {"a": "b)", {"", "", {{"add", R"({"a": "b)"}}}},
      {"hermes", "<tool_call>" + kAdd + "</tool", {"", "", {{"add", "{}"}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(read(c.format, c.text), c.expected) << c.format << ": " << c.text;
}

TEST(CallParser, WhatIsNoCallIsContentToTheLastByte) {
  for (const std::string& text :
       {std::string("Hello  \n"),
        std::string("<tool_call>"),
        std::string("2 < 3 <tool <<tool_call>x"),
        std::string("<tool_call>\n{\"name\": \"ge"),
        std::string("<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>"),
        std::string("<tool_call>{\"colour\": {}}</tool_call>"),
        std::string("<tool_call>{\"name\": 5}</tool_call>"),
        std::string("<tool_call>{\"name\": \"get\", \"arguments\": [1]}</tool_call>"),
        std::string("{\"name\": \"Bob\"}"),
        std::string("{\"answer\": {\"name\": \"get\"}}"),
        std::string("[1, 2, 3]"),
        std::string("[TOOL_CALLS] none [TOOL"),
        std::string("```json\n{\"a\": 1}\n```"),
        std::string("```python\nprint()\n```"),
        std::string("[[" + kGet + "]]"),
        std::string("Say " + kGet),
        std::string(" "),
        std::string(),
        "<tool_call>" + std::string(40'000, '{'),
        "<tool_call>" + std::string(40'000, ' ') + "x",
        "{\"name\": \"" + std::string(40'000, 'x')}) {
    for (const ToolFormat& format : tool_formats()) {
      const Read out = read(std::string(format.name).c_str(), text);
      EXPECT_EQ(out.text, text) << format.name;
      EXPECT_TRUE(out.calls.empty()) << format.name << ": " << text.substr(0, 80);
    }
  }
}

TEST(CallParser, WhatFollowsACallIsContentAgain) {
  EXPECT_EQ(read("hermes", "<tool_call>" + kAdd + " and <tool_call>1"),
            (Read{" and <tool_call>1", "", {{"add", "{}"}}}));
  EXPECT_EQ(read("llama3", kAdd + "; {\"x\": 1}"), (Read{"; {\"x\": 1}", "", {{"add", "{}"}}}));
  EXPECT_EQ(read("llama3", kAdd + "; "), (Read{"; ", "", {{"add", "{}"}}}));
  EXPECT_EQ(read("mistral", "[TOOL_CALLS] [" + kAdd + ", 5]"), (Read{", 5]", "", {{"add", "{}"}}}));
  EXPECT_EQ(read("hermes", R"(<tool_call>{"name":"add","arguments":{}? no)"),
            (Read{"? no", "", {{"add", "{}"}}}));
}

TEST(CallParser, ArgumentsAreToldAsTheyCome) {
  AnswerReader reader(options("hermes"));
  AnswerParts parts;
  reader.push(R"(<tool_call>{"name": "get", "arguments": )", parts);
  EXPECT_TRUE(parts.empty());
  reader.push("{", parts);
  EXPECT_EQ(parts.calls, (std::vector<CallDelta>{{0, "get", "{"}}));
  parts = {};
  reader.push("\"city\": \"Par", parts);
  EXPECT_EQ(parts.calls, (std::vector<CallDelta>{{0, "", "\"city\": \"Par"}}));
  parts = {};
  reader.push("is\"}}", parts);
  EXPECT_EQ(parts.calls, (std::vector<CallDelta>{{0, "", "is\"}"}}));
}

TEST(AnswerReader, TellsReasoningApart) {
  auto how = options(nullptr, true);
  EXPECT_EQ(read_whole(how, "\n<think>\nA <b> </thin </think>\n\nYes <think>x</think>"),
            (Read{"Yes <think>x</think>", "A <b> </thin", {}}));
  EXPECT_EQ(read_whole(how, "<think></think>Yes"), (Read{"Yes", "", {}}));
  EXPECT_EQ(read_whole(how, "<think>cut off </thi"), (Read{"", "cut off </thi", {}}));
  EXPECT_EQ(read_whole(how, " <thin ice"), (Read{" <thin ice", "", {}}));
  EXPECT_EQ(read_whole(how, " <thin"), (Read{" <thin", "", {}}));
  EXPECT_EQ(read_whole(how, "a<</think>"), (Read{"a<</think>", "", {}}));
  how.begins_inside = true;
  EXPECT_EQ(read_whole(how, "thought<</think> Yes"), (Read{"Yes", "thought<", {}}));
  EXPECT_EQ(read_whole(options(nullptr), "<think>a</think>b"), (Read{"<think>a</think>b", "", {}}));
}

TEST(AnswerReader, ACallInReasoningIsThought) {
  EXPECT_EQ(read_whole(options("hermes", true),
                       "<think>I could <tool_call>" + kAdd + "</tool_call></think>\n<tool_call>" + kGet),
            (Read{"", "I could <tool_call>" + kAdd + "</tool_call>", {{"get", kGetArguments}}}));
}

// Texts put together from what means something to some format.
TEST(AnswerReader, PiecesMakeNoDifference) {
  const std::vector<std::string> parts{"<tool_call>",
                                       "</tool_call>",
                                       "<think>",
                                       "</think>",
                                       "<|python_tag|>",
                                       "[TOOL_CALLS]",
                                       "```tool_code",
                                       "```json",
                                       "```",
                                       kGet,
                                       kAdd,
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ";",
                                       " ",
                                       "\n",
                                       "\"",
                                       "\\",
                                       "<",
                                       "`",
                                       "text",
                                       "é",
                                       "{\"name\": \"get\", ",
                                       "\"arguments\": {",
                                       "{\"name\": \"none\", \"arguments\": {}}",
                                       "{\"a\": 1}",
                                       "\"name\"",
                                       ":"};
  std::mt19937 random(11);
  std::size_t calls = 0, kept = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string text;
    for (std::size_t n = 1 + random() % 9; n > 0; --n) text += parts[random() % parts.size()];
    auto how = options(std::string(tool_formats()[random() % tool_formats().size()].name).c_str(),
                       random() % 2 == 0);
    how.begins_inside = how.reasoning && random() % 4 == 0;
    const Read whole = read_whole(how, text);
    for (const std::size_t most : {1, 3, 12}) {
      ASSERT_EQ(read_in_pieces(how, text, most, random), whole) << how.format->name << ": " << text;
    }
    calls += whole.calls.size();
    if (whole.calls.empty() && !how.reasoning) {
      ASSERT_EQ(whole.text, text) << how.format->name;
      ++kept;
    }
  }
  EXPECT_GT(calls, 300u);
  EXPECT_GT(kept, 1000u);
}

}  // namespace
}  // namespace troupe::gateway
