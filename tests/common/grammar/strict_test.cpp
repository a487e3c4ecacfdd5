// OpenAI's rules for strict schemas.
#include <gtest/gtest.h>

#include "common/grammar/grammar.hpp"

namespace troupe::grammar {
namespace {

TEST(Strict, WantsClosedObjectsWithAllPropertiesRequired) {
  EXPECT_TRUE(check_strict(
      R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})"));
  const auto open = check_strict(R"({"type":"object","properties":{"a":{}},"required":["a"]})");
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().detail.find("#: strict needs 'additionalProperties'"), std::string::npos);
  const auto optional = check_strict(
      R"({"type":"array","items":{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}})");
  ASSERT_FALSE(optional);
  EXPECT_NE(optional.error().detail.find("#/items: strict needs 'b' in 'required'"), std::string::npos);
  EXPECT_FALSE(check_strict(R"({"$defs":{"x":{"type":"object"}},"anyOf":[{"$ref":"#/$defs/x"}]})"));
  EXPECT_FALSE(check_strict("nonsense"));
}

TEST(Strict, APropertyMayBeNamedLikeAKeyword) {
  EXPECT_TRUE(check_strict(
      R"({"type":"object","properties":{"properties":{"type":"string"}},"required":["properties"],"additionalProperties":false})"));
}

}  // namespace
}  // namespace troupe::grammar
