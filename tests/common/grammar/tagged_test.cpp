// Values between fixed texts: which are whole, which may begin, what is refused.
#include "common/grammar/tagged.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

Json calls() {
  return Json::parse(R"({
    "open": "<call>\n", "between": "\n</call>\n<call>\n", "close": "\n</call>", "most": 2,
    "items": [
      {"begin": "{\"name\": \"add\", \"arguments\": ", "end": "}", "schema":
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"], "$defs": {"n": {"type": "integer"}}}},
      {"begin": "{\"name\": \"say\", \"arguments\": ", "end": "}", "schema":
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"], "$defs": {"n": {"type": "string"}}}}
    ]})");
}

Source with(const char* key, const Json& value) {
  Json form = calls();
  form[key] = value;
  return {Kind::tagged, form.dump()};
}

const std::string kAdd = R"({"name": "add", "arguments": {"a":1}})";
const std::string kSay = R"({"name": "say", "arguments": {"a":"x"}})";
const std::string kOpen = "<call>\n", kClose = "\n</call>";

TEST(Tagged, AValueFollowsTheSchemaOfTheTextBeforeIt) {
  const Source source{Kind::tagged, calls().dump()};
  EXPECT_TRUE(matches(source, kOpen + kAdd + kClose));
  EXPECT_TRUE(matches(source, kOpen + kSay + kClose));
  EXPECT_FALSE(matches(source, kOpen + R"({"name": "add", "arguments": {"a":"x"}})" + kClose));
  EXPECT_FALSE(matches(source, kOpen + R"({"name": "sub", "arguments": {"a":1}})" + kClose));
  EXPECT_FALSE(matches(source, kOpen + kAdd));
  EXPECT_FALSE(matches(source, kAdd));
  EXPECT_FALSE(matches(source, "Well, " + kOpen + kAdd + kClose));
}

TEST(Tagged, ThereAreAtMostAsManyAsSaid) {
  const std::string two = kOpen + kAdd + kClose + "\n" + kOpen + kSay + kClose;
  const std::string three = two + "\n" + kOpen + kAdd + kClose;
  const Source source{Kind::tagged, calls().dump()};
  EXPECT_TRUE(matches(source, two));
  EXPECT_FALSE(matches(source, three));
  EXPECT_FALSE(matches(with("most", 1), two));
  EXPECT_TRUE(matches(with("most", 3), three));
}

TEST(Tagged, FreeTextGoesOnUntilTheTrigger) {
  const Source source = with("free", {{"trigger", "<call>"}});
  EXPECT_TRUE(matches(source, ""));
  EXPECT_TRUE(matches(source, "2 < 3, and <<cal is no mark, é neither\n"));
  EXPECT_TRUE(matches(source, kOpen + kAdd + kClose));
  EXPECT_TRUE(matches(source, "Let me see <<call>\n" + kAdd + kClose));
  EXPECT_FALSE(matches(source, "Let me see <call> it"));
  EXPECT_FALSE(
      matches(source, "<call>\n" + std::string(R"({"name": "add", "arguments": {"a":"x"}})") + kClose));
  EXPECT_FALSE(matches(source, kOpen + kAdd + kClose + " and text"));
}

// The trigger's own beginning may stand in what was read of it.
TEST(Tagged, ATriggerThatRepeatsItselfIsFound) {
  Json form = calls();
  form["open"] = "aabaac";
  form["close"] = "";
  form["free"] = {{"trigger", "aabaac"}};
  const Source source{Kind::tagged, form.dump()};
  EXPECT_TRUE(matches(source, "aabaabaac" + kAdd));
  EXPECT_TRUE(matches(source, "aaabaac" + kAdd));
  EXPECT_FALSE(matches(source, "aabaabaac"));
  EXPECT_TRUE(matches(source, "aabaabaa"));
}

TEST(Tagged, FreeTextMayBeToldByItsFirstCharacter) {
  Json form = calls();
  form["open"] = form["close"] = "";
  form["free"] = {{"unlike", "{["}};
  const Source source{Kind::tagged, form.dump()};
  EXPECT_TRUE(matches(source, kAdd));
  EXPECT_TRUE(matches(source, ""));
  EXPECT_TRUE(matches(source, " \nA set is {1, 2}"));
  EXPECT_FALSE(matches(source, " {1, 2}"));
  EXPECT_FALSE(matches(source, R"({"a": 1})"));
}

TEST(Tagged, OrAValueOfAnotherSchema) {
  const Source source = with("free", {{"schema", {{"type", "integer"}}}});
  EXPECT_TRUE(matches(source, "12"));
  EXPECT_TRUE(matches(source, kOpen + kAdd + kClose));
  EXPECT_FALSE(matches(source, "x"));
}

TEST(Tagged, RandomTextsUnderItAreWhole) {
  const auto automaton = automaton_of({Kind::tagged, calls().dump()});
  std::mt19937 random(5);
  int whole = 0;
  for (int i = 0; i < 50; ++i) {
    const auto text = walk(automaton, random);
    if (!text) continue;
    ++whole;
    EXPECT_TRUE(text->starts_with(kOpen) && text->ends_with(kClose)) << *text;
  }
  EXPECT_GT(whole, 10);
}

TEST(Tagged, AFormThatIsNoneIsRefused) {
  EXPECT_NE(error_of({Kind::tagged, "[]"}), "");
  EXPECT_NE(error_of({Kind::tagged, "{}"}), "");
  EXPECT_NE(error_of(with("open", 1)).find("open"), std::string::npos);
  EXPECT_NE(error_of(with("items", Json::array())).find("items"), std::string::npos);
  EXPECT_NE(error_of(with("items", {1})).find("items"), std::string::npos);
  EXPECT_NE(error_of(with("most", 0)).find("most"), std::string::npos);
  EXPECT_NE(error_of(with("most", 1000)).find("most"), std::string::npos);
  EXPECT_NE(error_of(with("free", {{"trigger", ""}})).find("trigger"), std::string::npos);
  EXPECT_NE(error_of(with("free", {{"trigger", "<other>"}})).find("trigger"), std::string::npos);
  EXPECT_NE(error_of(with("free", Json::object())).find("free"), std::string::npos);
  Json bad = calls();
  bad["items"][0]["schema"] = {{"type", "object"}, {"patternProperties", Json::object()}};
  EXPECT_NE(error_of({Kind::tagged, bad.dump()}).find("#/patternProperties"), std::string::npos);
}

}  // namespace
}  // namespace troupe::grammar
