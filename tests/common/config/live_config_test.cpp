#include "common/config/live_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/config/options.hpp"

namespace troupe {
namespace {

Config read(std::string_view yaml, std::vector<std::string> flags = {}) {
  ConfigSources sources;
  sources.arguments = std::move(flags);
  sources.file = *parse_yaml(yaml, "troupe.yaml");
  sources.file_name = "troupe.yaml";
  auto config = Config::load(product_schema(), sources);
  EXPECT_TRUE(config) << (config ? "" : to_string(config.error()));
  return config.value_or(Config(product_schema()));
}

std::vector<std::string> names(const std::vector<OptionChange>& changes) {
  std::vector<std::string> out;
  for (const OptionChange& change : changes) out.push_back(change.name);
  return out;
}

std::size_t index_of(std::string_view name) {
  return product_schema().find(name).value();
}

using Names = std::vector<std::string>;

TEST(LiveConfig, AMarkInTheTableMakesAnOptionReloadable) {
  const Schema schema({reloadable({"limit", OptionType::integer, "1"}), {"place", OptionType::text, "here"}});
  LiveConfig live(Config(schema), kServing);
  Config wanted(schema);
  ASSERT_TRUE(wanted.set("limit", "2"));
  ASSERT_TRUE(wanted.set("place", "there"));
  const auto found = live.reload(wanted);
  EXPECT_EQ(names(found.applied), Names{"limit"});
  EXPECT_EQ(names(found.pending), Names{"place"});
}

TEST(LiveConfig, LimitsOfHttpAreTakenOverAndItsPortIsNot) {
  LiveConfig live(read("http: {port: 8080, body_bytes: 8MiB, read_timeout: 30s}\n"), kServing);
  const auto found = live.reload(read("http: {port: 8081, body_bytes: 1MiB, read_timeout: 5s}\n"));
  EXPECT_EQ(names(found.applied), (Names{"http.body_bytes", "http.read_timeout"}));
  EXPECT_EQ(names(found.pending), Names{"http.port"});
}

TEST(LiveConfig, TakesOverWhatIsReloadableAndKeepsTheRestForARestart) {
  LiveConfig live(read("log: {level: info}\nhttp: {port: 8080}\n"), kServing);
  const auto found = live.reload(read("log: {level: debug}\nhttp: {port: 8081}\n"));
  EXPECT_EQ(names(found.applied), Names{"log.level"});
  EXPECT_EQ(names(found.pending), Names{"http.port"});
  EXPECT_EQ(live.holder_of("log.level").text("log.level"), "debug");
  EXPECT_EQ(live.holder_of("http.port").integer("http.port"), 8080);
  EXPECT_EQ(live.wanted().integer("http.port"), 8081);
  ASSERT_EQ(found.pending.size(), 1u);
  EXPECT_EQ(found.pending[0].from, "8080");
  EXPECT_EQ(found.pending[0].to, "8081");
  EXPECT_EQ(found.pending[0].place, "troupe.yaml:2");
}

TEST(LiveConfig, AFileThatSaysTheSameChangesNothingAndAMovedLineIsNoChange) {
  LiveConfig live(read("log: {level: info}\n"), kServing);
  const auto found = live.reload(read("# a comment\n\nlog: {level: info}\n"));
  EXPECT_TRUE(found.applied.empty());
  EXPECT_TRUE(found.pending.empty());
  EXPECT_EQ(live.holder_of("log.level").provenance("log.level").place, "troupe.yaml:3");
}

TEST(LiveConfig, APendingChangeIsToldAgainUntilItIsTakenBack) {
  LiveConfig live(read("http: {port: 8080}\n"), kServing);
  (void)live.reload(read("http: {port: 8081}\n"));
  EXPECT_EQ(live.pending(), 1u);
  EXPECT_TRUE(live.is_pending(index_of("http.port")));
  EXPECT_EQ(names(live.reload(read("http: {port: 8081}\n")).pending), Names{"http.port"});
  EXPECT_TRUE(live.reload(read("http: {port: 8080}\n")).pending.empty());
  EXPECT_EQ(live.pending(), 0u);
}

TEST(LiveConfig, AnOptionThatLeavesTheFileGoesBackToItsDefault) {
  LiveConfig live(read("gateway: {max_streams: 7}\n"), kServing);
  EXPECT_EQ(names(live.reload(read("")).applied), Names{"gateway.max_streams"});
  EXPECT_EQ(live.holder_of("gateway.max_streams").integer("gateway.max_streams"), 256);
  EXPECT_EQ(live.holder_of("gateway.max_streams").provenance("gateway.max_streams").origin, Origin::default_value);
}

TEST(LiveConfig, AFlagStaysStrongerThanAChangedFile) {
  LiveConfig live(read("log: {level: info}\n", {"--log-level=warn"}), kServing);
  EXPECT_TRUE(live.reload(read("log: {level: debug}\n", {"--log-level=warn"})).applied.empty());
  EXPECT_EQ(live.holder_of("log.level").text("log.level"), "warn");
}

TEST(LiveConfig, OptionsOfOtherRolesAreNoNews) {
  LiveConfig live(read(""), kDecode);
  const auto found = live.reload(read("http: {port: 1, max_connections: 5}\nrouter: {policy: random}\n"));
  EXPECT_TRUE(found.applied.empty());
  EXPECT_TRUE(found.pending.empty());
  EXPECT_EQ(live.pending(), 0u);
}

TEST(LiveConfig, JsonShowsWhatWaitsBesideWhatIsInForceAndNoSecret) {
  ConfigSources sources;
  sources.environment = {{"TROUPE_CLUSTER_DIRECTORY_PASSWORD", "hunter2"}};
  LiveConfig live(read("http: {port: 8080}\n"), kServing);
  auto wanted = *Config::load(product_schema(), sources);
  ASSERT_TRUE(wanted.set("http.port", "8081"));
  const auto found = live.reload(std::move(wanted));
  EXPECT_EQ(names(found.pending), (Names{"http.port", "cluster.directory_password"}));
  EXPECT_EQ(found.pending.back().to, "***");
  const std::string text = live.json();
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["http.port"]["value"], 8080);
  EXPECT_EQ(json["http.port"]["reloadable"], false);
  EXPECT_EQ(json["http.port"]["pending"]["value"], 8081);
  EXPECT_EQ(json["http.port"]["pending"]["place"], "--http-port");
  EXPECT_EQ(json["cluster.directory_password"]["pending"]["text"], "***");
  EXPECT_FALSE(json["log.level"].contains("pending"));
  EXPECT_EQ(json["log.level"]["reloadable"], true);
}

}  // namespace
}  // namespace troupe
