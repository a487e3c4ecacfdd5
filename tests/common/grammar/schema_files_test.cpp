// Schemas as applications have them (schemas/*.json), with values that are valid and values that are not.
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

using Json = nlohmann::ordered_json;

struct SchemaFile {
  std::string name;
  Json schema, valid, invalid;
};

std::vector<SchemaFile> schema_files() {
  std::vector<SchemaFile> out;
  for (const auto& entry : std::filesystem::directory_iterator("tests/common/grammar/schemas")) {
    std::ifstream in(entry.path());
    const Json file = Json::parse(in);
    out.push_back({entry.path().stem().string(), file["schema"], file["valid"], file["invalid"]});
  }
  return out;
}

TEST(SchemaFiles, ValidValuesAreTextsOfTheGrammarAndInvalidOnesAreNot) {
  const auto files = schema_files();
  EXPECT_GE(files.size(), 50u);
  for (const SchemaFile& file : files) {
    const auto automaton = automaton_of({Kind::json_schema, file.schema.dump()});
    ASSERT_NE(automaton, nullptr) << file.name;
    for (const Json& value : file.valid)
      EXPECT_TRUE(matches(*automaton, value.dump())) << file.name << ": " << value;
    for (const Json& value : file.invalid)
      EXPECT_FALSE(matches(*automaton, value.dump())) << file.name << ": " << value;
  }
}

TEST(SchemaFiles, RandomAnswersParse) {
  std::mt19937_64 random(4);
  int whole = 0;
  for (const SchemaFile& file : schema_files()) {
    const auto automaton = automaton_of({Kind::json_schema, file.schema.dump()});
    for (int i = 0; i < 6; ++i) {
      const auto text = walk(automaton, random);
      if (!text) continue;
      ++whole;
      EXPECT_FALSE(Json::parse(*text, nullptr, false).is_discarded()) << file.name << ": " << *text;
    }
  }
  EXPECT_GT(whole, 150);
}

}  // namespace
}  // namespace troupe::grammar
