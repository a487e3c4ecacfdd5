#include "services/cli/role_options.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "common/config/options.hpp"

namespace troupe::cli {
namespace {

/// Everything that the parts of a process are given, as text.
std::string given(const Config& config) {
  std::ostringstream out;
  const auto router = router_tuning(config);
  out << static_cast<int>(log_level(config)) << ' ' << most_streams(config) << ' ' << router.policy << ' '
      << router.first_token_slo.value_or(Duration::zero()).count() << ' ' << router.min_prompt_tokens << ' '
      << router.min_fetch_tokens;
  const auto edge = edge_tuning(config);
  const auto& http = edge.http;
  out << ' ' << http.max_connections << ' ' << http.max_header_bytes << ' ' << http.max_body_bytes << ' '
      << http.read_timeout.count() << ' ' << http.write_timeout.count() << ' ' << http.idle_timeout.count()
      << ' ' << edge.request_deadline.count() << ' ' << edge.audit.target << ' ' << edge.audit.max_bytes;
  return out.str();
}

/// Another value of an option than its default.
std::string other_value(const Option& option) {
  if (option.type == OptionType::boolean) return option.default_text == "true" ? "false" : "true";
  if (option.type == OptionType::choice)
    return std::string(option.choices.front() == option.default_text ? option.choices.back()
                                                                     : option.choices.front());
  if (option.type == OptionType::bytes) return "128KiB";
  return option.type == OptionType::duration ? "1234ms" : "77";
}

TEST(RoleOptions, EveryReloadableOptionIsGivenToAPartAndNoOther) {
  const std::string before = given(Config(product_schema()));
  for (const Option& option : product_schema().options()) {
    if (option.name == "drain.deadline") continue;  // read when it is needed
    Config config(product_schema());
    if (!config.set(option.name, other_value(option))) {
      EXPECT_FALSE(option.reloadable) << option.name << " has another kind of value than this test thinks";
      continue;
    }
    EXPECT_EQ(given(config) != before, option.reloadable) << option.name;
  }
}

TEST(RoleOptions, ZeroMeansNoObjective) {
  Config config(product_schema());
  EXPECT_FALSE(router_tuning(config).first_token_slo.has_value());
  ASSERT_TRUE(config.set("router.first_token_slo", "250ms"));
  EXPECT_EQ(router_tuning(config).first_token_slo, std::chrono::milliseconds(250));
}

TEST(RoleOptions, BatchesHaveAFolderOfTheirGateway) {
  Config config(product_schema());
  ASSERT_TRUE(config.set("http.port", "8123"));
  EXPECT_EQ(batch_folder(config).filename(), "batches-8123");
  ASSERT_TRUE(config.set("gateway.batch.path", "/somewhere"));
  EXPECT_EQ(batch_folder(config), "/somewhere");
  ASSERT_TRUE(config.set("gateway.batch.path", "none"));
  EXPECT_TRUE(batch_folder(config).empty());
}

}  // namespace
}  // namespace troupe::cli
