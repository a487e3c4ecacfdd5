#include "common/speculation/techniques.hpp"

#include <gtest/gtest.h>

#include <set>

#include "common/config/options.hpp"

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
    EXPECT_TRUE(product_schema().find(technique.option)) << technique.option;
}

TEST(Techniques, NameTheirClass) {
  EXPECT_EQ(name(TechniqueClass::exact), "exact");
  EXPECT_EQ(name(TechniqueClass::law), "law");
  EXPECT_EQ(name(TechniqueClass::lossy), "lossy");
}

}  // namespace
}  // namespace troupe
