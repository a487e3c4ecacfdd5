#include "common/config/options.hpp"

#include <gtest/gtest.h>

#include "common/config/config.hpp"

namespace troupe {
namespace {

TEST(ProductSchema, EveryOptionHasHelpAndARole) {
  for (const Option& option : product_schema().options()) {
    EXPECT_GT(option.help.size(), 10U) << option.name;
    EXPECT_NE(option.roles, 0) << option.name;
    EXPECT_EQ(option.type == OptionType::choice, !option.choices.empty()) << option.name;
  }
}

TEST(ProductSchema, OptionsOfAGroupStandTogether) {
  std::vector<std::string> seen;
  for (const Option& option : product_schema().options()) {
    const std::size_t dot = option.name.find('.');
    const std::string group(dot == std::string_view::npos ? "" : option.name.substr(0, dot));
    if (!seen.empty() && seen.back() == group) continue;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), group), 0) << option.name;
    seen.push_back(group);
  }
}

TEST(ProductSchema, BindsLoopbackByDefault) {
  const Config config(product_schema());
  EXPECT_EQ(config.text("http.host"), "127.0.0.1");
  EXPECT_TRUE(config.text("cluster.listen").starts_with("127.0.0.1:"));
  EXPECT_TRUE(config.text("cluster.data_listen").starts_with("127.0.0.1:"));
  EXPECT_EQ(config.text("metrics.host"), "127.0.0.1");
  EXPECT_FALSE(config.boolean("insecure"));
}

}  // namespace
}  // namespace troupe
