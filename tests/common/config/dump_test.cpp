#include "common/config/dump.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/config/options.hpp"

namespace troupe {
namespace {

Config changed() {
  ConfigSources s;
  s.arguments = {"--http-port=1234",     "--model=a",       "--model=/x y/#b.gguf",
                 "--http-cors-origin=*", "--kv-bytes=3MiB", "--insecure"};
  s.environment = {{"TROUPE_DRAIN_DEADLINE", "1500ms"}};
  return *Config::load(product_schema(), s);
}

TEST(Dump, YamlLoadsBackToTheSameValues) {
  const Config config = changed();
  ConfigSources s;
  auto file = parse_yaml(dump_yaml(config), "dump.yaml");
  ASSERT_TRUE(file) << to_string(file.error());
  s.file = std::move(*file);
  const auto again = Config::load(product_schema(), s);
  ASSERT_TRUE(again) << to_string(again.error());
  for (std::size_t i = 0; i < product_schema().options().size(); ++i)
    EXPECT_EQ(again->value(i), config.value(i)) << product_schema().options()[i].name;
}

TEST(Dump, ASecretIsNeverShown) {
  ConfigSources s;
  s.environment = {{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hunter2"}};
  const Config config = *Config::load(product_schema(), s);
  EXPECT_EQ(config.text("cluster.directory_password"), "hunter2");
  EXPECT_EQ(dump_yaml(config).find("hunter2"), std::string::npos);
  EXPECT_EQ(dump_json(config).find("hunter2"), std::string::npos);
  EXPECT_NE(dump_json(config).find("***"), std::string::npos);
  for (const std::string& flag : config.to_flags(kServing)) EXPECT_EQ(flag.find("hunter2"), std::string::npos);
  EXPECT_EQ(config.secrets(),
            (std::vector<std::pair<std::string, std::string>>{{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hunter2"}}));
}

TEST(Dump, YamlSaysWhereAValueCameFrom) {
  const std::string text = dump_yaml(changed());
  EXPECT_NE(text.find("  port: 1234  # from flag --http-port\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  deadline: 1500ms  # from environment TROUPE_DRAIN_DEADLINE\n"), std::string::npos);
}

TEST(Dump, YamlKeepsToTheRolesOptions) {
  const std::string text = dump_yaml(Config(product_schema()), kRouter);
  EXPECT_EQ(text.find("http:"), std::string::npos);
  EXPECT_NE(text.find("cluster:"), std::string::npos);
}

TEST(Dump, JsonHasValueTextAndOrigin) {
  const auto json = nlohmann::json::parse(dump_json(changed()));
  EXPECT_EQ(json["http.port"]["value"], 1234);
  EXPECT_EQ(json["http.port"]["origin"], "flag");
  EXPECT_EQ(json["kv.bytes"]["value"], 3 << 20);
  EXPECT_EQ(json["kv.bytes"]["text"], "3MiB");
  EXPECT_EQ(json["drain.deadline"]["value"], 1.5);
  EXPECT_EQ(json["model"]["value"][1], "/x y/#b.gguf");
  EXPECT_EQ(json.size(), product_schema().options().size());
}

TEST(Dump, HelpNamesEveryFlagWithDefaultAndBounds) {
  const std::string help = help_text(product_schema());
  for (const std::string& flag : product_schema().flags())
    EXPECT_NE(help.find("  " + flag + "  "), std::string::npos) << flag;
  EXPECT_NE(help.find("--http-port  integer (port), 0..65535, default 8080"), std::string::npos);
  EXPECT_EQ(help_text(product_schema(), kRouter).find("--http-port  "), std::string::npos);
}

}  // namespace
}  // namespace troupe
