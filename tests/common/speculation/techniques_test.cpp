#include "common/speculation/techniques.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/config/options.hpp"
#include "common/speculation/drafter.hpp"

namespace troupe {
namespace {

TEST(Techniques, RowsAreWholeAndNamesUnique) {
  std::set<std::string_view> names;
  for (const Technique& technique : techniques()) {
    EXPECT_TRUE(names.insert(technique.name).second) << technique.name;
    for (const std::string_view field :
         {technique.summary, technique.paper, technique.service, technique.needs})
      EXPECT_FALSE(field.empty()) << technique.name;
  }
}

TEST(Techniques, NameAnOptionThatExists) {
  for (const Technique& technique : techniques())
    // Only what is off unless a request asks for it may do without.
    EXPECT_TRUE(technique.option.empty() ? technique.effect == TechniqueClass::lossy
                                         : product_schema().find(technique.option).has_value())
        << technique.name << ": " << technique.option;
}

TEST(Techniques, DraftersAreInTheTableAndInTheOption) {
  const Option* option = nullptr;
  for (const Option& one : product_schema().options())
    if (one.name == "speculation.drafter") option = &one;
  ASSERT_NE(option, nullptr);
  std::vector<std::string> choices = {"off", "auto"};
  for (const speculation::DrafterEntry& drafter : speculation::builtin_drafters()) {
    choices.emplace_back(drafter.name);
    const auto row = std::find_if(techniques().begin(), techniques().end(), [&](const Technique& t) { return t.name == drafter.name; });
    ASSERT_NE(row, techniques().end()) << drafter.name;
    EXPECT_EQ(row->effect, drafter.effect);
    EXPECT_EQ(row->paper, drafter.source);
  }
  EXPECT_EQ(std::vector<std::string>(option->choices.begin(), option->choices.end()), choices);
}

TEST(Techniques, NameTheirClass) {
  EXPECT_EQ(name(TechniqueClass::exact), "exact");
  EXPECT_EQ(name(TechniqueClass::law), "law");
  EXPECT_EQ(name(TechniqueClass::lossy), "lossy");
}

}  // namespace
}  // namespace troupe
