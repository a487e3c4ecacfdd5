#include "services/gateway/batches/batch_input.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::gateway {
namespace {

constexpr std::string_view kChat = "/v1/chat/completions";

nlohmann::json line(const std::string& custom_id, const std::string& model = "m") {
  return {{"custom_id", custom_id},
          {"method", "POST"},
          {"url", kChat},
          {"body", {{"model", model}, {"messages", nlohmann::json::array()}}}};
}

std::string code_of(const nlohmann::json& object) {
  const auto read = read_input_line(object.dump(), kChat);
  return read ? "" : read.error().code + " " + read.error().param;
}

TEST(BatchInput, ReadsALine) {
  const auto read = read_input_line(line("a").dump() + "\r", kChat);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->custom_id, "a");
  EXPECT_EQ(read->model, "m");
  EXPECT_EQ(read->body, R"({"messages":[],"model":"m"})");
}

TEST(BatchInput, SaysWhatIsWrongWithALine) {
  for (const char* text : {"", "x", "[1]", "\"a\"", "{\"custom_id\":\"a\"", "{\"a\":\"\xff\"}"}) {
    const auto read = read_input_line(text, kChat);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, "invalid_json_line");
    EXPECT_EQ(read.error().message, "This line is not parseable as valid JSON.");
  }
  for (const char* key : {"custom_id", "method", "url", "body"}) {
    auto lacks = line("a");
    lacks.erase(key);
    EXPECT_EQ(code_of(lacks), std::string("missing_required_parameter ") + key);
    lacks[key] = 7;
    EXPECT_EQ(code_of(lacks), std::string("invalid_value ") + key);
  }
  EXPECT_EQ(code_of(line(std::string(513, 'x'))), "invalid_value custom_id");
  EXPECT_EQ(code_of(line("")), "invalid_value custom_id");
  auto other = line("a");
  other["method"] = "GET";
  EXPECT_EQ(code_of(other), "invalid_value method");
  other = line("a");
  other["url"] = "/v1/completions";
  EXPECT_EQ(code_of(other), "url_mismatch url");
  other = line("a");
  other["body"].erase("model");
  EXPECT_EQ(code_of(other), "missing_required_parameter body.model");
}

TEST(BatchInput, LinesHaveOneModelAndAreNotTooMany) {
  InputCheck check{std::string(kChat), 2};
  EXPECT_TRUE(check.read(line("a", "m").dump()));
  EXPECT_EQ(check.model(), "m");
  const auto other = check.read(line("b", "n").dump());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, "model_mismatch");
  EXPECT_FALSE(check.full());
  const auto third = check.read(line("c", "m").dump());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, "too_many_tasks");
  EXPECT_TRUE(check.full());
}

TEST(BatchInput, WritesResultsAsOpenAIDoes) {
  const RequestId id{1, 2};
  const std::string good =
      output_line(id, "a\"b", 200, R"({"usage":{"prompt_tokens":3,"completion_tokens":4}})");
  ASSERT_TRUE(good.ends_with("}\n"));
  const auto json = nlohmann::json::parse(good);
  EXPECT_EQ(json["id"], "batch_req_" + to_hex(id));
  EXPECT_EQ(json["custom_id"], "a\"b");
  EXPECT_EQ(json["response"]["status_code"], 200);
  EXPECT_EQ(json["response"]["request_id"], to_hex(id));
  EXPECT_EQ(json["response"]["body"]["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(json["error"], nullptr);
  const auto unasked = nlohmann::json::parse(unasked_line(id, "c"));
  EXPECT_EQ(unasked["response"], nullptr);
  EXPECT_EQ(unasked["error"]["code"], "batch_expired");
}

TEST(BatchInput, FindsWhatAnAnswerUsed) {
  const auto used = usage_in(
      R"({"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2},
                                 "completion_tokens_details":{"reasoning_tokens":1}}})");
  EXPECT_EQ(used.prompt_tokens, 3);
  EXPECT_EQ(used.cached_tokens, 2);
  EXPECT_EQ(used.completion_tokens, 4);
  EXPECT_EQ(used.reasoning_tokens, 1);
  EXPECT_EQ(usage_in("nonsense").prompt_tokens, 0);
}

}  // namespace
}  // namespace troupe::gateway
