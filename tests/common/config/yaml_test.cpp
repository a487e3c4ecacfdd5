#include "common/config/yaml.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Yaml, KeepsOrderKindsAndLines) {
  const auto root = parse_yaml("b: 1\na:\n  - x\n  - {k: v}\nn:\n", "t.yaml");
  ASSERT_TRUE(root);
  ASSERT_EQ(root->fields.size(), 3U);
  EXPECT_EQ(root->fields[0].first, "b");
  EXPECT_EQ(root->field("a")->items[0].text, "x");
  EXPECT_EQ(root->field("a")->items[1].field("k")->text, "v");
  EXPECT_EQ(root->field("a")->items[1].line, 4);
  EXPECT_EQ(root->field("n")->kind, YamlNode::Kind::null);
}

TEST(Yaml, NamesFileAndLineOfAnError) {
  const auto bad = parse_yaml("a: 1\nb: [1, 2\n", "t.yaml");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::config_invalid);
  EXPECT_TRUE(bad.error().detail.starts_with("t.yaml:")) << bad.error().detail;
}

TEST(Yaml, RefusesARepeatedKey) {
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n", "t.yaml").error().detail, "t.yaml:2: \"a\" is given twice");
}

TEST(Yaml, RefusesASecondDocument) {
  EXPECT_FALSE(parse_yaml("a: 1\n---\nb: 2\n", "t.yaml"));
}

TEST(Yaml, BoundsDepthAndSize) {
  EXPECT_FALSE(parse_yaml(std::string(40, '[') + std::string(40, ']'), "t.yaml"));
  EXPECT_FALSE(parse_yaml(std::string(100'000, '['), "t.yaml"));
  EXPECT_FALSE(parse_yaml(std::string((1U << 20) + 1, ' '), "t.yaml"));
}

TEST(Yaml, BoundsWhatAliasesExpandTo) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'i'; ++c) {
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) text += std::string(i == 0 ? "*" : ", *") + static_cast<char>(c - 1);
    text += "]\n";
  }
  const auto bomb = parse_yaml(text, "t.yaml");
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().detail.find("values"), std::string::npos);
}

TEST(Yaml, ReadsAnEmptyTextAsNothing) {
  EXPECT_EQ(parse_yaml("", "t.yaml")->kind, YamlNode::Kind::null);
}

TEST(Yaml, SaysWhichFileIsMissing) {
  const auto missing = read_yaml("no/such.yaml");
  EXPECT_EQ(missing.error().code, Errc::file_not_found);
  EXPECT_NE(missing.error().detail.find("no/such.yaml"), std::string::npos);
  EXPECT_FALSE(read_yaml("."));
}

TEST(Yaml, QuotesWhatWouldReadDifferently) {
  for (const std::string text :
       {"plain", "", "a: b", "*", "#x", "127.0.0.1:0", "tab\there", "\"q\"", "- a", "[x]", "~", "é"}) {
    const auto back = parse_yaml("k: " + yaml_quote(text) + "\n", "t");
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(back->field("k")->text, text);
  }
}

}  // namespace
}  // namespace troupe
