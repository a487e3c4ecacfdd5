#include "common/grammar/schema_merge.hpp"

#include <gtest/gtest.h>

namespace troupe::grammar {
namespace {

Json parse(const char* text) {
  return Json::parse(text);
}

TEST(SchemaMerge, JoinsWhatBothSay) {
  const auto merged = merge_schemas(
      parse(
          R"({"type":["object","null"],"properties":{"a":{"type":"integer"}},"required":["a"],"minProperties":1})"),
      parse(R"({"type":"object","properties":{"b":{}},"required":["b","a"],"minProperties":2,"title":"x"})"));
  ASSERT_TRUE(merged);
  EXPECT_EQ(
      *merged,
      parse(
          R"({"type":["object"],"properties":{"a":{"type":"integer"},"b":{}},"required":["a","b"],"minProperties":2,"title":"x"})"));
}

TEST(SchemaMerge, AnIntegerIsANumber) {
  EXPECT_EQ(
      (*merge_schemas(parse(R"({"type":"number","maximum":5})"), parse(R"({"type":"integer","maximum":9})"))),
      parse(R"({"type":["integer"],"maximum":5})"));
}

TEST(SchemaMerge, AClosedObjectKeepsItsOwnProperties) {
  const auto merged = merge_schemas(parse(R"({"properties":{"a":{}},"additionalProperties":false})"),
                                    parse(R"({"properties":{"a":{},"b":{}}})"));
  EXPECT_FALSE((*merged)["properties"].contains("b"));
}

TEST(SchemaMerge, WhatCannotBeJoinedIsNamed) {
  const auto merged = merge_schemas(parse(R"({"pattern":"a"})"), parse(R"({"pattern":"b"})"));
  ASSERT_FALSE(merged);
  EXPECT_NE(merged.error().detail.find("'pattern'"), std::string::npos);
}

TEST(SchemaMerge, KnowsWhatIsDisjoint) {
  const auto apart = [](const char* a, const char* b) { return surely_disjoint(parse(a), parse(b)); };
  EXPECT_TRUE(apart(R"({"type":"string"})", R"({"type":["null","integer"]})"));
  EXPECT_FALSE(apart(R"({"type":"integer"})", R"({"type":"number"})"));
  EXPECT_TRUE(apart(R"({"const":1})", R"({"enum":[2,3]})"));
  EXPECT_FALSE(apart(R"({"const":1})", R"({"enum":[1,2]})"));
  const char* cat = R"({"type":"object","properties":{"k":{"const":"cat"}},"required":["k"]})";
  EXPECT_TRUE(apart(cat, R"({"type":"object","properties":{"k":{"enum":["dog"]}},"required":["k"]})"));
  EXPECT_FALSE(apart(cat, R"({"type":"object","properties":{"k":{"enum":["dog"]}}})")) << "it may be absent";
  EXPECT_FALSE(apart(R"({})", R"({"type":"string"})"));
}

}  // namespace
}  // namespace troupe::grammar
