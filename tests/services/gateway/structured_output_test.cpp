// What an answer must look like: every spelling reaches the cluster as one source, and what is not supported
// is named.
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using grammar::Kind;
using nlohmann::json;

constexpr const char* kSchema =
    R"({"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"integer"}},"required":["zeta","alpha"],"additionalProperties":false})";

std::string chat(const std::string& member) {
  return R"({"model":"small","messages":[{"role":"user","content":"x"}],)" + member + "}";
}

class StructuredOutput : public EdgeTest {};

TEST_F(StructuredOutput, EverySpellingBecomesASource) {
  start();
  const std::string schema = kSchema;
  struct Case {
    std::string member;
    Kind kind;
    std::string text;
  };
  const Case cases[] = {
      {R"("response_format":{"type":"text"})", Kind::none, ""},
      {R"("response_format":{"type":"json_object"})", Kind::json_object, ""},
      {R"("response_format":{"type":"json_object","schema":)" + schema + "}", Kind::json_schema, schema},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":)" +
           schema + "}}",
       Kind::json_schema, schema},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})", Kind::json_object, ""},
      {R"("guided_json":)" + schema, Kind::json_schema, schema},
      {R"("guided_json":)" + json(schema).dump(), Kind::json_schema, schema},
      {R"("guided_regex":"[0-9]+")", Kind::regex, "[0-9]+"},
      {R"("guided_choice":["yes","no"])", Kind::choice, R"(["yes","no"])"},
      {R"("guided_grammar":"root ::= \"a\"")", Kind::gbnf, "root ::= \"a\""},
      {R"("structured_outputs":{"json":)" + schema + "}", Kind::json_schema, schema},
      {R"("structured_outputs":{"regex":"a|b"})", Kind::regex, "a|b"},
      {R"("structured_outputs":{"choice":["x"]})", Kind::choice, R"(["x"])"},
      {R"("structured_outputs":{"json_object":true})", Kind::json_object, ""},
      {R"("grammar":"root ::= \"a\"")", Kind::gbnf, "root ::= \"a\""},
      {R"("json_schema":)" + schema, Kind::json_schema, schema},
      {R"("grammar":"","guided_regex":null)", Kind::none, ""},
  };
  for (const Case& each : cases) {
    const std::size_t before = dispatcher_.seen().size();
    const Answer answer = post("/v1/chat/completions", chat(each.member));
    ASSERT_EQ(answer.status, 200) << each.member << ": " << answer.body;
    const auto jobs = dispatcher_.seen();
    ASSERT_EQ(jobs.size(), before + 1);
    EXPECT_EQ(jobs.back().grammar, (grammar::Source{each.kind, each.text})) << each.member;
  }
}

TEST_F(StructuredOutput, WhatIsNotSupportedIsNamedWithItsPlace) {
  start();
  struct Case {
    const char* member;
    const char* param;
    const char* part;  ///< of the message
  };
  const Case cases[] = {
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"a":{"contains":{}}}}}})",
       "response_format.json_schema.schema", "#/properties/a/contains: unsupported keyword 'contains'"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{}}}}})",
       "response_format.json_schema.schema", "strict needs 'additionalProperties'"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema", "required"},
      {R"("response_format":{"schema":{}})", "response_format.type", "required"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"magic":1}})",
       "response_format.json_schema.magic", "unknown"},
      {R"("guided_regex":"(a)\\1")", "guided_regex", "'\\1'"},
      {R"("guided_choice":[])", "guided_choice", "expected a list of strings"},
      {R"("guided_choice":[1])", "guided_choice", "expected a list of strings"},
      {R"("guided_json":"{")", "guided_json", "not valid JSON"},
      {R"("grammar":"root ::= x")", "grammar", "'x' is used and not defined"},
      {R"("structured_outputs":{"structural_tag":"x"})", "structured_outputs.structural_tag",
       "not supported"},
      {R"("guided_regex":"a","json_schema":{})", "json_schema", "given together with guided_regex"},
  };
  for (const Case& each : cases) {
    const Answer answer = post("/v1/chat/completions", chat(each.member));
    ASSERT_EQ(answer.status, 400) << each.member;
    const auto error = json::parse(answer.body)["error"];
    EXPECT_EQ(error["param"], each.param) << answer.body;
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_NE(error["message"].get<std::string>().find(each.part), std::string::npos) << answer.body;
  }
  EXPECT_TRUE(dispatcher_.seen().empty());
}

}  // namespace
}  // namespace troupe::test
