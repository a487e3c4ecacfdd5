#include "common/grammar/json_schema.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

Source schema(std::string text) {
  return {Kind::json_schema, std::move(text)};
}

TEST(JsonSchema, AnUnsupportedKeywordIsNamedWithItsPointer) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"object","properties":{"a/b":{"type":"array","items":{"type":"string","contains":1}}}})",
       "#/properties/a~1b/items/contains: unsupported keyword 'contains'"},
      {R"({"not":{}})", "#/not: unsupported keyword 'not'"},
      {R"({"anyOf":[{"type":"null"},{"if":{}}]})", "#/anyOf/1/if: unsupported keyword 'if'"},
      {R"({"$defs":{"x":{"type":"array","uniqueItems":true}},"$ref":"#/$defs/x"})",
       "#/$defs/x/uniqueItems: unsupported keyword 'uniqueItems'"},
      {R"({"type":"number","multipleOf":0.5})", "#/multipleOf: unsupported keyword 'multipleOf'"},
      {R"({"type":"string","format":"regex"})", "#/format: unsupported format \"regex\""},
      {R"g({"type":"string","pattern":"(?=a)"})g", "#/pattern: look-around"},
      {R"({"patternProperties":{"a":{}}})", "#/patternProperties"},
      {R"({"type":"text"})", "#/type: unknown type 'text'"},
      {R"({"$ref":"#/nowhere"})", "#/$ref: there is nothing at '#/nowhere'"},
      {R"({"$ref":"http://other/"})", "is not inside this schema"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "#/oneOf: alternatives 0 and 1 may both match"},
      {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})",
       "#/allOf/1: two schemas that must hold together both give 'pattern'"},
      {R"({"type":"object","properties":{},"required":["a"],"additionalProperties":false})",
       "#/required: 'a' is required"},
      {R"({"type":"string","pattern":"^a*$","maxLength":5})", "#/pattern: minLength and maxLength"},
      {R"({"enum":["a"],"minLength":1})", "#/minLength: unsupported keyword"},
      {R"([1])", "#: expected a schema"},
      {R"({"type":)", "#: not valid JSON"},
      {R"(false)", "#: no text matches"},
      {R"({"$ref":"#"})", "no text matches"},
      {R"({"allOf":[{"$ref":"#"}]})", "without end"},
  };
  for (const auto& [text, what] : cases) {
    const std::string error = error_of(schema(text));
    EXPECT_NE(error.find(what), std::string::npos) << text << ": " << error;
  }
}

TEST(JsonSchema, AnnotationsSayNothing) {
  EXPECT_EQ(
      error_of(schema(
          R"({"title":"T","description":"d","default":1,"examples":[1],"$comment":"c","type":"integer"})")),
      "");
}

TEST(JsonSchema, WhiteSpaceIsFreeButBounded) {
  const auto automaton = automaton_of(schema(
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]})"));
  EXPECT_TRUE(matches(*automaton, R"({"a":1,"b":2})"));
  EXPECT_TRUE(matches(*automaton, R"({"a": 1, "b": 2})"));
  EXPECT_TRUE(matches(*automaton, "{\n  \"a\": 1,\n  \"b\": 2\n}"));
  EXPECT_FALSE(matches(*automaton, "{   \"a\":1,\"b\":2}"));
  EXPECT_FALSE(matches(*automaton, R"({"b":2,"a":1})")) << "properties come in the order of the schema";
}

TEST(JsonSchema, OptionalPropertiesNeedNoCommaThatLeadsNowhere) {
  const auto automaton = automaton_of(schema(
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]})"));
  for (const char* good : {R"({"b":null})", R"({"a":null,"b":null})", R"({"b":null,"c":null})",
                           R"({"a":null,"b":null,"c":null})"})
    EXPECT_TRUE(matches(*automaton, good)) << good;
  for (const char* bad :
       {"{}", R"({"a":null})", R"({"a":null,"c":null})", R"({,"b":null})", R"({"b":null,})"})
    EXPECT_FALSE(matches(*automaton, bad)) << bad;
}

TEST(JsonSchema, FurtherKeysAreNeverThoseThatAreNamed) {
  const auto automaton = automaton_of(schema(
      R"({"type":"object","properties":{"id":{"type":"integer"},"idée":{"type":"integer"}},"additionalProperties":{"type":"null"}})"));
  for (const char* good : {R"({"i":null})", R"({"idx":null})", R"({"":null})",
                           R"({"id":1,"idé":null,"ide":null})", R"({"日":null})"})
    EXPECT_TRUE(matches(*automaton, good)) << good;
  for (const char* bad : {R"({"id":null})", R"({"idée":null})", R"({"x":1})"})
    EXPECT_FALSE(matches(*automaton, bad)) << bad;
}

TEST(JsonSchema, StringsAreTextWhateverEscapesSay) {
  const auto automaton = automaton_of(schema(R"({"type":"string"})"));
  for (const char* good : {R"("\ud83d\ude00")", R"("\u00e9\n\/")", R"("日本é")"})
    EXPECT_TRUE(matches(*automaton, good)) << good;
  for (const char* bad : {R"("\ud83d")", R"("\ude00")", R"("\x")", "\"\n\"", "\"\xFF\"", "\"\xED\xA0\x80\""})
    EXPECT_FALSE(matches(*automaton, bad)) << bad;
  const auto counted = automaton_of(schema(R"({"type":"string","minLength":2,"maxLength":2})"));
  EXPECT_TRUE(matches(*counted, R"("\ud83d\ude00é")"));
  EXPECT_FALSE(matches(*counted, R"("\ud83d\ude00")"));
}

/// Each of these would take time or memory beyond any bound if it were unfolded.
TEST(JsonSchema, HostileSchemasAreRefusedSoon) {
  std::string doubling = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 60; ++i) {
    const std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
    doubling += "\"d" + std::to_string(i) + R"(":{"allOf":[)" + next + "," + next + "]},";
  }
  EXPECT_NE(error_of(schema(doubling + R"("d60":{"type":"object"}}})")), "");
  std::string nested = "{}";
  for (int i = 0; i < 300; ++i) nested = R"({"type":"array","items":)" + nested + "}";
  EXPECT_NE(error_of(schema(nested)), "");
  EXPECT_NE(
      error_of(schema(
          R"({"type":"array","items":{"type":"array","items":{"type":"integer"},"minItems":100000},"minItems":100000})")),
      "");
  EXPECT_NE(error_of(schema(std::string(40000, ' '))).find("bytes"), std::string::npos);
  EXPECT_NE(error_of(schema(std::string(30000, '['))), "");
}

}  // namespace
}  // namespace troupe::grammar
